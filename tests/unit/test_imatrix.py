"""The importance matrix: what is summed, over which rows, under which names, and what the quantiser makes of it."""

import copy
import dataclasses
import json
import shutil
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import yaml
from conftest import ROOT, template

from mindgauge import converting, imatrix, imatrix_file, quantising
from mindgauge.config import Settings
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, sha256_file, write_jsonl
from mindgauge.gguf_header import read_header
from mindgauge.imatrix_file import Matrix
from mindgauge.plan import Plan

BASE = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def toy(layer="mlp"):
    """A model of one embedding, one linear layer and a head, so that its sums can be computed by hand."""
    import torch

    class Toy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[1.0, 2.0], [3.0, -4.0]]))
            self.model = torch.nn.Module()
            self.model.layers = torch.nn.ModuleList([torch.nn.Module()])
            block = torch.nn.Module()
            block.down_proj = torch.nn.Linear(2, 3, bias=False)
            setattr(self.model.layers[0], layer, block)
            self.lm_head = torch.nn.Linear(3, 2, bias=False)
            self.layer = block.down_proj

        def get_output_embeddings(self):
            return self.lm_head

        def forward(self, input_ids, use_cache, logits_to_keep):
            return self.lm_head(self.layer(self.embedding(input_ids)))

    return Toy()


def test_the_sums_are_those_computed_by_hand():
    model = toy()
    found = imatrix.collect(model, [[0, 1, 1], [0]])
    assert {name: list(of) for name, of in found.sums.items()} == {"blk.0.ffn_down.weight": [1 + 9 + 9 + 1, 4 + 32 + 4]}
    assert found.counts == {"blk.0.ffn_down.weight": 4} and found.rows == 2
    assert list(found.means()["blk.0.ffn_down.weight"]) == [5.0, 10.0]
    assert not model.layer._forward_pre_hooks


def test_a_layer_without_a_known_tensor_is_named():
    with pytest.raises(UserError, match=r"model\.layers\.0\.experts\.down_proj") as error:
        imatrix.collect(toy("experts"), [[0]])
    assert "imatrix: false" in str(error.value)


def test_activations_that_are_not_finite_are_named():
    import torch

    model = toy()
    model.embedding.weight.data[1] = torch.inf
    with pytest.raises(UserError, match=r"blk\.0\.ffn_down\.weight is not finite"):
        imatrix.collect(model, [[0, 1]])


def test_rows_are_drawn_by_seed_and_id_and_count_once():
    rows = [{"id": f"{n:04x}"} for n in range(50)]
    one = imatrix.chosen(rows, 20, 1)
    assert one == imatrix.chosen([*rows[::-1], *rows[:9]], 20, 1) and len({row["id"] for row in one}) == 20
    assert one != imatrix.chosen(rows, 20, 2) and len(imatrix.chosen(rows, 99, 1)) == 50
    more = imatrix.chosen([*rows, {"id": "new"}], 20, 1)
    assert len([row for row in one if row not in more]) <= 1


@pytest.fixture(scope="module")
def matrix(made, rows, tmp_path_factory):
    """The file of one model's matrix, collected where there is nothing but the training rows."""
    out = tmp_path_factory.mktemp("imatrix")
    shutil.copy(rows / "train.jsonl", out)
    collected(made, out, out)
    return out / "imatrix.gguf"


def collected(made, sft, out, count=8):
    options = {"family": made["family"], "template": template(made["family"]), "context": 512}
    imatrix.make(made["merge"], sft / "train.jsonl", out, **options, rows=count, seed=1)


def test_every_weight_matrix_of_the_converted_model_has_its_importance(made, matrix):
    found = imatrix_file.read(matrix)
    header = read_header(made["convert"] / "model.gguf")
    wanted = {of.name: of.shape[0] for of in header.tensors if of.name.startswith("blk.") and len(of.shape) > 1}
    layers = read_json(made["merge"] / "config.json")["num_hidden_layers"]
    assert {name: of.size for name, of in found.sums.items()} == wanted and len(wanted) == 7 * layers
    imatrix_file.check_fits(found, header.tensors, "")
    assert all((of > 0).any() for of in found.sums.values()) and found.rows == 8


def test_the_first_layer_sees_the_normalised_embeddings_of_prompt_and_answer(made, rows, matrix):
    import torch
    from transformers import AutoModelForCausalLM

    from mindgauge.chat import Chat

    chat = Chat.load(made["merge"], template(made["family"]), made["family"])
    found = imatrix_file.read(matrix)
    model = AutoModelForCausalLM.from_pretrained(str(made["merge"]), dtype=torch.float32)
    examples = [chat.example(row, 512) for row in imatrix.chosen(read_jsonl(rows / "train.jsonl"), 8, 1)]
    ids = torch.tensor([token for example in examples for token in example.prompt + example.completion])
    with torch.no_grad():
        seen = model.model.layers[0].input_layernorm(model.model.embed_tokens(ids)).double().square().sum(0)
    for part in ("attn_q", "attn_k", "attn_v"):
        np.testing.assert_allclose(found.sums[f"blk.0.{part}.weight"], seen, rtol=1e-6)
    assert set(found.counts.values()) == {len(ids)}


def test_the_same_rows_are_the_same_bytes_and_others_are_not(made, rows, matrix, tmp_path):
    collected(made, rows, tmp_path)
    assert (tmp_path / "imatrix.gguf").read_bytes() == matrix.read_bytes()
    collected(made, rows, tmp_path, count=7)
    assert (tmp_path / "imatrix.gguf").read_bytes() != matrix.read_bytes()


def test_no_training_row_is_explained(made, tmp_path):
    write_jsonl(tmp_path / "train.jsonl", ())
    with pytest.raises(UserError, match="there is no training row"):
        collected(made, tmp_path, tmp_path)


def tensor_data(path):
    header = read_header(path)
    data = path.read_bytes()
    ends = [*(of.offset for of in header.tensors[1:]), len(data)]
    return {of.name: (of.type, data[of.offset : end]) for of, end in zip(header.tensors, ends, strict=True)}


def test_quantising_with_it_rounds_otherwise_and_keeps_the_types(made, matrix, tmp_path):
    quantising.quantise(made["convert"], tmp_path, "Q4_K_M", matrix)
    plain, weighed = (tensor_data(path / "model.gguf") for path in (made["quantise"], tmp_path))
    assert {name: kind for name, (kind, _) in plain.items()} == {name: kind for name, (kind, _) in weighed.items()}
    other = {name for name in plain if plain[name] != weighed[name]}
    assert other == set(imatrix_file.read(matrix).sums)
    said = read_json(tmp_path / "tensors.json")
    assert said.pop("imatrix") == {"sha256": sha256_file(matrix), "rows": 8}
    without = read_json(made["quantise"] / "tensors.json")
    hashes, before = said.pop("sha256"), without.pop("sha256")
    assert {name for name in hashes if hashes[name] != before[name]} == other
    assert without.pop("imatrix") is None and said == without


MATRIX = Matrix({"blk.0.attn_q.weight": np.array([1, 2.5], np.float32)}, {"blk.0.attn_q.weight": 7}, 3)


def test_a_matrix_is_read_back_as_it_was_written_and_names_no_path(tmp_path):
    path = tmp_path / "imatrix.gguf"
    imatrix_file.write(path, MATRIX)
    found = imatrix_file.read(path)
    assert list(found.sums["blk.0.attn_q.weight"]) == [1, 2.5] and (found.counts, found.rows) == (MATRIX.counts, 3)
    assert read_header(path).values == {
        "general.type": "imatrix",
        "imatrix.datasets": ["sft/train"],
        "imatrix.chunk_count": 3,
        "imatrix.chunk_size": 2,
    }


@pytest.mark.parametrize(
    ("sums", "count", "said"),
    [
        ([1, np.nan], 7, r"blk\.0\.attn_q\.weight is not finite"),
        ([1, np.inf], 7, r"blk\.0\.attn_q\.weight is not finite"),
        ([1, -1], 7, r"blk\.0\.attn_q\.weight is not finite"),
        ([1, 1], 0, r"no token passed through blk\.0\.attn_q\.weight"),
    ],
)
def test_a_matrix_that_cannot_be_one_is_refused(tmp_path, sums, count, said):
    path = tmp_path / "imatrix.gguf"
    name = "blk.0.attn_q.weight"
    imatrix_file.write(path, Matrix({name: np.array(sums, np.float32)}, {name: count}, 3))
    with pytest.raises(UserError, match=said):
        imatrix_file.read(path)


def test_a_file_that_is_no_matrix_or_is_cut_off_is_refused(made, tmp_path):
    with pytest.raises(UserError, match="no importance matrix"):
        imatrix_file.read(made["convert"] / "model.gguf")
    path = tmp_path / "imatrix.gguf"
    imatrix_file.write(path, MATRIX)
    whole = path.read_bytes()
    for cut, said in ((32, "this GGUF is cut off"), (30, r"blk\.0\.attn_q\.weight\.counts is cut off")):
        path.write_bytes(whole[:-cut])
        with pytest.raises(UserError, match=said):
            imatrix_file.read(path)


def test_a_matrix_of_another_model_is_refused_before_quantising(made, matrix, tmp_path):
    whole = imatrix_file.read(matrix)
    name = "blk.1.ffn_up.weight"
    less = {of: sums for of, sums in whole.sums.items() if of != name}
    path = tmp_path / "imatrix.gguf"
    for sums, said in (
        (less, f"lacks {name}"),
        (whole.sums | {name: np.ones(3, np.float32)}, f"{name} is of 3 columns"),
    ):
        imatrix_file.write(path, dataclasses.replace(whole, sums=sums))
        with pytest.raises(UserError, match=said):
            quantising.quantise(made["convert"], tmp_path, "Q4_K_M", path)
    assert not (tmp_path / "model.gguf").exists()


OFFICIAL = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/gguf-py")
import gguf
names = {}
for arch in ("QWEN2", "QWEN3", "LLAMA", "GEMMA3"):
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch], 2)
    names[arch] = [known.get_name(f"model.layers.1.{name}.weight", try_suffixes=(".weight",)) for name in sys.argv[3:]]
reader = gguf.GGUFReader(sys.argv[2])
fields = {name: reader.fields[name].contents() for name in reader.fields if not name.startswith("GGUF.")}
tensors = {of.name: [of.tensor_type.name, of.shape.tolist(), of.data.tolist()] for of in reader.tensors}
print(json.dumps([names, fields, tensors]))
"""


def test_llama_cpp_has_the_same_names_and_reads_the_file(tmp_path):
    """By the gguf-py of the linked llama.cpp, as the converter uses it. Mistral is converted as a Llama."""
    imatrix_file.write(tmp_path / "imatrix.gguf", MATRIX)
    vendor = converting.unpack(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", OFFICIAL, str(vendor), str(tmp_path / "imatrix.gguf"), *imatrix.NAMES],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names, fields, tensors = json.loads(done.stdout)
    ours = [imatrix.tensor_name(f"model.layers.1.{name}") for name in imatrix.NAMES]
    assert len(names) == 4 and all(of == ours for of in names.values())
    assert fields == read_header(tmp_path / "imatrix.gguf").values
    assert tensors == {
        "blk.0.attn_q.weight.in_sum2": ["F32", [2, 1], [[1.0, 2.5]]],
        "blk.0.attn_q.weight.counts": ["F32", [1, 1], [[7.0]]],
    }


@pytest.mark.parametrize("kind", ["Gemma3", "Mistral", "Qwen3"])
def test_every_linear_layer_of_the_other_families_has_a_name(kind):
    import torch
    import transformers

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1}
    made = getattr(transformers, f"{kind}TextConfig" if kind == "Gemma3" else f"{kind}Config")
    config = made(vocab_size=16, num_hidden_layers=2, head_dim=4, pad_token_id=0, **sizes)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    found = imatrix.collect(model, [[1, 2, 3]])
    linear = [of for of in model.modules() if isinstance(of, torch.nn.Linear)]
    assert len(found.sums) == len(linear) - 1 == 14


def planned(changed="", **options):
    """A plan of one model; of the supervised rows the file `changed` is another one than usual."""
    stanza = {"path": "somewhere", "licence": "MIT", "family": "qwen3"}
    raw = copy.deepcopy(BASE) | {"models": ["tiny"], "extra_models": {"tiny": stanza}, "quants": ["Q4_K_M", "Q8_0"]}

    def gate(name, fact):
        files = defaultdict(lambda: {"sha256": "f"})
        if name == "sft" and changed:
            files[changed] = {"sha256": "other"}
        return {"files": files, "facts": {"buckets": {"00": "f"}}, "where": "a/b", "sha256": "f"}

    return Plan(Settings(raw | options), gate, main=False)


@pytest.mark.usefixtures("in_root")
def test_only_training_rows_decide_it_and_only_quants_that_use_it_wait_for_it():
    plan = planned()
    recipe = plan.recipe("imatrix", "tiny")
    held_out = plan._content("sft", "val.jsonl", "test.jsonl")
    assert set(recipe.inputs) == {"merge", "sft"} and recipe.inputs["sft"] == plan._content("sft", "train.jsonl")
    assert recipe.inputs["sft"] != held_out and recipe.params["rows"] == 256
    assert set(plan.recipe("quantise", "tiny", "Q4_K_M").inputs) == {"convert", "imatrix"}
    assert set(plan.recipe("quantise", "tiny", "Q8_0").inputs) == {"convert"}
    assert plan.targets("imatrix") == ["results/models/tiny/gguf/tiny-imatrix.gguf"]
    assert planned("test.jsonl").recipe("imatrix", "tiny").key == recipe.key
    other = {name: planned(name).recipe("imatrix", "tiny").inputs["sft"] for name in ("train.jsonl", "val.jsonl")}
    assert other["train.jsonl"] != recipe.inputs["sft"] == other["val.jsonl"]


@pytest.mark.usefixtures("in_root")
def test_it_can_be_switched_off():
    plan = planned(quantise={"imatrix": False})
    assert set(plan.recipe("quantise", "tiny", "Q4_K_M").inputs) == {"convert"} and plan.targets("imatrix") == []
