"""The quant AUTO: tried in order on validation rows, and what comes of it."""

import copy

import pytest
from conftest import OPTIONS, evaluated, template

from mindgauge import choosing
from mindgauge.config import Settings, overlaid
from mindgauge.errors import UserError
from mindgauge.files import read_json, sha256_file, write_jsonl
from mindgauge.gates import Gates, chosen
from mindgauge.gguf_header import read_header
from mindgauge.plan import Plan
from mindgauge.quants import QUANTS, meant

ONE = pytest.mark.parametrize("made", ["tiny-qwen2"], indirect=True)


@pytest.fixture(scope="module")
def merged(made, rows, scheme, tmp_path_factory):
    """The evaluation of the merged model."""
    out = tmp_path_factory.mktemp("merged")
    evaluated(made, rows, out, scheme, "merged")
    return out


def chose(made, rows, merged, scheme, out, quants, **gates):
    """choice.json, and the entry's tensors.json."""
    work, entry = out / "work", out / "entry"
    work.mkdir(parents=True)
    entry.mkdir()
    choosing.choose(
        {"convert": made["convert"], "merge": made["merge"], "sft": rows, "evaluate": merged},
        entry,
        work,
        tries=[{"quant": quant, "imatrix": False} for quant in quants],
        gates=Gates(undecided="pass", **gates).model_dump(),
        labels=scheme.to_dict(),
        family=made["family"],
        template=template(made["family"]),
        context=OPTIONS["context"],
        max_new_tokens=48,
        batch_size=4,
        rows=4,
    )
    return read_json(entry / "choice.json"), read_json(entry / "tensors.json"), entry / "model.gguf"


@ONE
def test_the_first_that_passes_on_validation_rows_is_taken(made, rows, merged, scheme, tmp_path):
    loose = {"qwk_drop_max": None, "risk_lost_max": None}
    choice, tensors, gguf = chose(
        made, rows, merged, scheme, tmp_path / "none", ["Q2_K", "Q8_0"], kld_mean_max=1e-9, **loose
    )
    coarse, fine = choice["tries"]
    assert choice["passed"] is None and (choice["rows"], coarse["gate"], fine["gate"]) == (4, "fail", "fail")
    assert coarse["kld_mean"] > fine["kld_mean"] > 1e-9 and "divergence" in coarse["reasons"][0]
    assert tensors["quant"] == "Q8_0"  # the last, which the gates then refuse
    assert chosen(choice)["status"] == "fail" and "none passes, of Q2_K, Q8_0" in chosen(choice)["reason"]

    between = (coarse["kld_mean"] + fine["kld_mean"]) / 2
    choice, tensors, gguf = chose(
        made, rows, merged, scheme, tmp_path / "second", ["Q2_K", "Q8_0", "Q6_K"], kld_mean_max=between, **loose
    )
    assert choice["passed"] == tensors["quant"] == "Q8_0" and chosen(choice)["status"] == "pass"
    assert [one["name"] for one in choice["tries"]] == ["Q2_K", "Q8_0"]  # Q6_K was not made
    assert read_header(gguf).values["general.file_type"] == 7 and tensors["sha256"]


@ONE
def test_without_validation_rows_nothing_is_chosen(made, rows, merged, scheme, tmp_path):
    for name in ("train", "val", "test", "gold", "other_view"):
        write_jsonl(tmp_path / f"{name}.jsonl", [])
    with pytest.raises(UserError, match="no validation row"):
        chose(made, tmp_path, merged, scheme, tmp_path / "out", ["Q8_0"])


@ONE
def test_embeddings_and_output_of_a_large_quant_are_kept_at_8_bits(made, tmp_path):
    from mindgauge import quantising

    found = {}
    for quant in ("Q4_K_M", "Q4_K_L"):
        (tmp_path / quant).mkdir()
        quantising.quantise(made["convert"], tmp_path / quant, quant)
        found[quant] = read_json(tmp_path / quant / "tensors.json")
        assert found[quant]["fallback_share"] == 0
        held = {tensor.name: tensor.type for tensor in read_header(tmp_path / quant / "model.gguf").tensors}
        assert (held["token_embd.weight"] == 8) == (quant == "Q4_K_L")
    assert found["Q4_K_M"]["bits_per_weight"] < found["Q4_K_L"]["bits_per_weight"]
    assert sha256_file(tmp_path / "Q4_K_M/model.gguf") != sha256_file(tmp_path / "Q4_K_L/model.gguf")


def test_every_quant_is_known_to_llama_cpp_and_means_some_type():
    import llama_cpp

    from mindgauge.quants import OUTER

    for quant in QUANTS:
        assert hasattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{OUTER.get(quant, quant)}")
        assert all(hasattr(llama_cpp, f"GGML_TYPE_{kind}") for kind in meant(quant))


BASE = overlaid([])
GATE = {"files": {}, "facts": {"buckets": {}}, "where": "x/y", "sha256": "0" * 64}


def plan_of(tmp_path, **config):
    stanza = {"path": "x", "licence": "MIT", "family": "qwen3"}
    raw = copy.deepcopy(BASE) | {"models": ["tiny"], "extra_models": {"tiny": stanza}, "store": str(tmp_path), **config}

    class Files(dict):
        def __missing__(self, name):
            return {"sha256": "0" * 64}

    return Plan(Settings(raw), lambda name, fact: {**GATE, "files": Files()}, main=False)


def test_auto_is_made_evaluated_and_bundled_in_place_of_a_quant(tmp_path):
    plan = plan_of(tmp_path, quants=["AUTO"], quantise={"imatrix": False, "auto": ["Q4_0", "Q4_K_M+imatrix"]})
    views = {view: step for view, step, _, _ in plan.views()}
    assert views["models/tiny/gguf/tiny-AUTO.gguf"] == "choose"
    assert views["models/tiny/gguf/tiny-imatrix.gguf"] == "imatrix"  # a try wants it
    key = plan.recipe("choose", "tiny").key
    assert plan.recipe("choose", "tiny").params["tries"] == [
        {"quant": "Q4_0", "imatrix": False},
        {"quant": "Q4_K_M", "imatrix": True},
    ]
    for step, names in (("evaluate", ("tiny", "AUTO")), ("bundle", ("tiny", "AUTO")), ("judge", ("tiny",))):
        assert key in [of.identity for of in plan.recipe(step, *names).inputs.values()]
    assert key in [of.identity for of in plan.recipe("fidelity", "tiny").lists["gguf"]]
    other = plan_of(tmp_path, quants=["AUTO"], quantise={"imatrix": False, "auto": ["Q4_0"]})
    assert "imatrix" not in other.recipe("choose", "tiny").inputs
    assert not any(view.endswith("-imatrix.gguf") for view, *_ in other.views())


def test_a_model_in_bf16_is_made_judged_and_quantised_from_bf16(tmp_path):
    plan = plan_of(tmp_path, quantise={"full": "bf16"})
    views = {view: (step, names) for view, step, names, _ in plan.views()}
    assert views["models/tiny/gguf/tiny-bf16.gguf"] == ("convert", ("tiny", "bf16"))
    assert "models/tiny/gguf/tiny-f16.gguf" not in views and "models/tiny/eval/bf16.json" in views
    made = plan.recipe("convert", "tiny", "bf16")
    assert made.params["outtype"] == "bf16"
    assert plan.recipe("quantise", "tiny", "Q4_K_M").inputs["convert"].identity == made.key
    assert plan.recipe("judge", "tiny").params["full"] == "bf16"
    stanza = {"path": "x", "licence": "MIT", "family": "qwen3", "full": "bf16"}
    assert "models/tiny/gguf/tiny-bf16.gguf" in {
        view for view, *_ in plan_of(tmp_path, extra_models={"tiny": stanza}).views()
    }


def test_what_auto_cannot_try_is_refused_with_what_it_can(tmp_path):
    for wrong in ("Q9", "Q8_0+imatrix", "AUTO"):
        with pytest.raises(UserError, match="is none of Q2_K") as refused:
            plan_of(tmp_path, quantise={"auto": [wrong]})
        assert "quantise.auto" in refused.value.message()
