"""Training to GGUF on a tiny model of each family, for real, a few steps each."""

import json
import os
import shutil
import subprocess
from importlib.metadata import version
from itertools import zip_longest
from types import SimpleNamespace

import pytest
from conftest import FAMILIES, INSTRUCTION, ROOT, STRINGS, evaluated, template
from huggingface_hub import ModelCard

from mindgauge import bundling, chat, converting, disk, fidelity, inference, merging, own_gold, quantising
from mindgauge.answers import gbnf, parse
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, sha256_file, write_json, write_jsonl
from mindgauge.gates import Gates
from mindgauge.gguf_header import read_header


def the_chat(made, where="merge"):
    return chat.Chat.load(made[where], template(made["family"]), made["family"])


def test_the_supervised_tokens_are_the_answer_and_its_end(bases, rows):
    for name, family in FAMILIES.items():
        talk = chat.Chat.load(bases / name, template(family), family)
        for row in read_jsonl(rows / "train.jsonl"):
            example = talk.example(row, 512)
            assert talk.tokenizer.decode(example.completion) == row["output"] + talk.end
            assert talk.tokenizer.decode(example.completion[:1]).startswith("{")


def test_over_long_rows_lose_their_oldest_words_only(bases):
    talk = chat.Chat.load(bases / "tiny-llama", template("llama3"), "llama3")
    row = {
        "instruction": INSTRUCTION,
        "input": "\n".join(f"第{n}轮说的话很长" for n in range(60)) + "\n最后一句",
        "output": '{"a": 1}',
    }
    example = talk.example(row, 200)
    text = talk.tokenizer.decode(example.prompt)
    assert example.shortened and len(example.prompt) + len(example.completion) <= 200
    # What is kept is the end of the text, in whole lines, and one more would not have fitted.
    lines = row["input"].split("\n")
    kept = next(n for n in range(len(lines)) if talk.render(INSTRUCTION, "\n".join(lines[n:])) == text)
    assert 0 < kept < len(lines) - 1
    more = talk.ids(talk.render(INSTRUCTION, "\n".join(lines[kept - 1 :])))
    assert len(more) + len(example.completion) + 4 > 200
    with pytest.raises(UserError, match="instruction alone"):
        talk.prompt(INSTRUCTION, "甲", 5)


def test_bos_stands_once(bases):
    for name, family in FAMILIES.items():
        talk = chat.Chat.load(bases / name, template(family), family)
        ids = talk.ids(talk.render(INSTRUCTION, "甲"))
        bos = talk.tokenizer.bos_token_id
        assert (ids.count(bos) if bos is not None else 0) == (0 if family.startswith("qwen3") else 1)


@pytest.mark.parametrize("family", chat.END_TOKENS)
def test_every_template_puts_the_answer_after_the_generation_prompt(family):
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(text):
        raise ValueError(text)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template(family))
    user, answer = {"role": "user", "content": "问\n句"}, {"role": "assistant", "content": '{"a": 1}'}

    def render(messages, generate):
        return made.render(messages=messages, add_generation_prompt=generate, bos_token="<bos>", raise_exception=refuse)

    whole, prompt = render([user, answer], False), render([user], True)
    assert whole.startswith(prompt) and whole[len(prompt) :] == '{"a": 1}' + chat.END_TOKENS[family]
    assert "问\n句" in prompt
    assert "think>\n\n</think" in prompt if family == "qwen3" else "think" not in prompt
    with pytest.raises(ValueError, match="only user and assistant"):
        render([{"role": "system", "content": "x"}, user], True)


def test_the_adapter_is_portable_and_its_curves_are_there(made):
    config = read_json(made["train"] / "adapter_config.json")
    assert config["base_model_name_or_path"] == made["name"] and config["target_modules"] == sorted(
        config["target_modules"]
    )
    assert not any(name in config["target_modules"] for name in ("lm_head", "embed_tokens"))
    history = read_json(made["train"] / "log_history.json")
    losses = [row["loss"] for row in history if "loss" in row]
    assert losses[-1] < losses[0] and any("eval_loss" in row for row in history)
    for name in ("training_loss.png", "training_eval_loss.png"):
        assert (made["train"] / name).read_bytes().startswith(b"\x89PNG")


def test_the_merged_model_says_what_the_adapter_says(made):
    check = read_json(made["merge"] / "merge_check.json")
    assert check["fp32"]["max_abs_logit"] < check["bound"] and check["fp32"]["same_top_token"] == 1.0
    from safetensors import safe_open

    with safe_open(made["merge"] / "model.safetensors", "pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"torch.bfloat16"}  # noqa: SIM118


def assert_parity(talk, others, texts):
    """Each of `others` gives the ids of `talk` for all texts; else the first token that differs is told."""
    for text in texts:
        ids = talk.ids(text)
        for name, of in others.items():
            pairs = enumerate(zip_longest(ids, of(text)))
            apart = next(((n, one, other) for n, (one, other) in pairs if one != other), None)
            assert apart is None, f"{name}: token {apart[0]} is {apart[2]}, not {apart[1]}: {text!a}"


def by_llama_cpp(gguf):
    llama = inference.load_gguf(gguf, 512)
    return lambda text: llama.tokenize(text.encode(), add_bos=False, special=True)


def wholes(talk, rows):
    """Prompts, and prompts with their answers, as training puts them."""
    of = list(read_jsonl(rows / "train.jsonl"))
    return [talk.render(row["instruction"], row["input"], answer) for row in of for answer in (None, row["output"])]


def test_tokens_are_the_same_in_training_merged_model_and_llama_cpp(made, rows):
    talk, merged = the_chat(made, "base"), the_chat(made)
    llama = by_llama_cpp(made["convert"] / "model.gguf")
    lines = [line for path in sorted((ROOT / "data/sample/CPsyCounD").glob("*.txt")) for line in path.open()]
    assert len(lines) > 200
    assert_parity(talk, {"merged": merged.ids, "llama.cpp": llama}, STRINGS + lines + wholes(talk, rows))


def test_a_template_that_shares_a_tokenizer_gives_the_same_tokens_in_llama_cpp(bases, rows, tmp_path):
    merged, out = tmp_path / "merged", tmp_path / "out"
    shutil.copytree(bases / "tiny-qwen3", merged)
    out.mkdir()
    talk = chat.Chat.load(bases / "tiny-qwen3", template("qwen3-instruct"), "qwen3-instruct")
    merging._tokenizer(bases / "tiny-qwen3", merged, talk)
    converting.convert(merged, out, tmp_path, "tiny-qwen3", "f16")
    texts = wholes(talk, rows)
    assert not any("think" in text for text in texts)
    assert_parity(talk, {"llama.cpp": by_llama_cpp(out / "model.gguf")}, texts)
    for row in read_jsonl(rows / "train.jsonl"):
        assert talk.tokenizer.decode(talk.example(row, 512).completion) == row["output"] + talk.end


def test_the_gguf_carries_template_and_end_token(made):
    values = read_header(made["quantise"] / "model.gguf").values
    assert values["tokenizer.chat_template"] == template(made["family"])
    assert values["tokenizer.ggml.tokens"][values["tokenizer.ggml.eos_token_id"]] == chat.END_TOKENS[made["family"]]
    sentencepiece = made["family"] in ("gemma3", "mistral")
    assert values["tokenizer.ggml.model"] == ("llama" if sentencepiece else "gpt2")
    if sentencepiece:
        assert values["tokenizer.ggml.add_space_prefix"] is False
    else:
        assert values["tokenizer.ggml.pre"] == ("llama-bpe" if made["family"] == "llama3" else "qwen2")


def test_the_quant_is_what_it_says(made):
    read = read_json(made["quantise"] / "tensors.json")
    assert read["fallback_share"] == 0 and 4 < read["bits_per_weight"] < 7 and read["tensors"]["Q4_K"] > 0
    plain = quantising.tensors(made["convert"] / "model.gguf", None)
    assert plain["size_bytes"] > 2 * read["size_bytes"]


def test_f16_answers_as_the_merged_model_does(made, rows):
    talk = the_chat(made)
    asked = inference.prompts(talk, list(read_jsonl(rows / "test.jsonl")), 440)
    hf = list(inference.generate_hf(talk, inference.load_model(made["merge"]), asked, 48, 4))
    gguf = list(inference.generate_gguf(talk, inference.load_gguf(made["convert"] / "model.gguf", 512), asked, 48))
    same = sum(one.text == other.text for one, other in zip(hf, gguf, strict=True))
    assert same >= len(asked) - 1  # bf16 weights against f16: one near tie may fall the other way


def test_llama_cpp_takes_the_grammar_and_answers_within_it(made, scheme):
    from llama_cpp import LlamaGrammar

    llama = inference.load_gguf(made["quantise"] / "model.gguf", 512)
    out = llama.create_completion(
        "甲", grammar=LlamaGrammar.from_string(gbnf(scheme), verbose=False), max_tokens=200, temperature=1.0, seed=3
    )
    assert parse(scheme, out["choices"][0]["text"])


def test_evaluation_counts_what_cannot_be_parsed_as_wrong(made, rows, tmp_path, scheme):
    found = evaluated(made, rows, tmp_path, scheme, "Q4_K_M", max_new_tokens=8)
    free, held = (found["results"][way]["test"]["figures"] for way in ("free", "constrained"))
    assert free["n"] == 6 and found["results"]["free"]["gold"]["figures"]["n"] == 6 and found["token_parity"] == 1.0
    assert free["json_valid"] == 0.0 and free["fields"]["risk_flag"]["accuracy"] == 0.0  # eight tokens are no answer
    assert held["json_valid"] == 1.0 and held["calibration"]["temperatures"]
    assert sum(found["faults"]["test"].values()) == 6
    shown = "".join(path.read_text() for path in tmp_path.rglob("*.json*"))
    assert not any(row["input"] in shown for row in read_jsonl(rows / "test.jsonl"))


def test_every_variant_is_judged_on_the_same_rows_and_any_figure_can_be_computed_again(made, rows, tmp_path, scheme):
    from mindgauge import comparing, judging, result_schema

    variants = ["base", "adapter", "merged", "f16", "Q4_K_M"]
    found = {variant: evaluated(made, rows, tmp_path / variant, scheme, variant) for variant in variants}
    write_jsonl(tmp_path / "gold_labels.jsonl", ())
    comparing.compare(
        rows,
        tmp_path / "gold_labels.jsonl",
        tmp_path / "baselines",
        false_alarms=0.1,
        urgent=["suicidal"],
        labels=scheme.to_dict(),
    )
    entries = {variant: tmp_path / variant for variant in variants} | {"tfidf": tmp_path / "baselines/tfidf"}
    records = [
        result_schema.checked(of) for one in found.values() for way in one["results"].values() for of in way.values()
    ]
    assert len(records) == 25 and len({of.rows_sha256 for of in records if of.reference == "labeller"}) == 1
    assert judging.again(scheme, tmp_path / "merged") == []
    file = tmp_path / "Q4_K_M/predictions/free-test.jsonl"
    file.write_text(file.read_text() + "\n")
    assert judging.again(scheme, tmp_path / "Q4_K_M") == ["free, test: the prediction rows are not those of the record"]
    # The same weights by two programs: probabilities agree.
    adapter, merged, f16 = (
        judging.predicted(scheme, entries[name], "constrained", "test") for name in ("adapter", "merged", "f16")
    )
    for name, shares in merged.probabilities.items():
        same = merged.given[name] == f16.given[name]
        assert abs(shares - f16.probabilities[name])[same].max() < 0.05 and same.mean() >= 0.8, name
    assert (adapter.given["risk_flag"] == merged.given["risk_flag"]).mean() >= 0.8
    out = tmp_path / "judge"
    out.mkdir()
    ggufs = {"f16": made["convert"] / "model.gguf", "Q4_K_M": made["quantise"] / "model.gguf"}
    options = {"family": made["family"], "template": template(made["family"]), "context": 512, "rows": 4}
    write_json(out / "logits.json", fidelity.compared(made["merge"], ggufs, rows / "test.jsonl", **options))
    judging.judge(
        entries,
        out / "logits.json",
        out,
        full="f16",
        quants=["Q4_K_M"],
        gates=Gates().model_dump(),
        labels=scheme.to_dict(),
    )
    pairs = [(of["first"], of["second"]) for of in read_json(out / "comparison.json")["test"]]
    assert pairs == [
        ("tfidf", "merged"),
        ("base", "merged"),
        ("adapter", "merged"),
        ("merged", "f16"),
        ("merged", "Q4_K_M"),
    ]
    views = read_json(out / "comparison.json")["views"]
    assert [(of["first"], of["second"], of["n"]) for of in views] == [
        (f"{variant}, own view", f"{variant}, other view", 6) for variant in ("merged", "Q4_K_M")
    ]
    decisions = read_json(out / "gates.json")
    assert (
        set(decisions) == {"merged", "f16", "Q4_K_M"} and decisions["Q4_K_M"]["release"] == "fail"
    )  # six rows decide nothing
    verified = read_json(out / "verify.json")["variants"]
    f16 = {check["gate"]: check["status"] for check in verified["f16"]["checks"]}
    assert {"pass"} == {f16[gate] for gate in ("token_ids", "template", "end_token", "kld_mean_max")}
    assert f16["full_logit_difference_max"] == "pass" and verified["Q4_K_M"]["logits"]["positions"] > 100
    assert (out / "errors.csv").read_text(encoding="utf-8-sig").startswith("id,")


def test_stock_llama_cpp_reads_from_the_quant_what_it_is_and_what_it_was_made_of(made, rows):
    from llama_cpp import Llama

    found = Llama(str(made["quantise"] / "model.gguf"), vocab_only=True, verbose=False).metadata
    talk = the_chat(made)
    assert found["general.name"] == made["name"] and found["general.license"] == "other"
    assert found["general.license.name"] == "MIT" and found["general.base_model.0.name"] == "base"
    assert found["general.base_model.0.repo_url"].endswith("/owner/base")
    assert found["general.base_model.0.version"] == "abc"
    assert found["general.dataset.count"] == "1" and found["general.dataset.0.name"] == "s"
    assert "a notice" in found["mindgauge.notices"] and "of no use here" not in found["mindgauge.notices"]
    assert found["mindgauge.prompt"] == INSTRUCTION and found["mindgauge.version"] == version("mindgauge")
    assert found["mindgauge.data.train_sha256"] == sha256_file(rows / "train.jsonl")
    assert found["tokenizer.chat_template"] == talk.template
    assert str(talk.end_id) in (found["tokenizer.ggml.eos_token_id"], found.get("tokenizer.ggml.eot_token_id"))
    said = json.dumps(found, ensure_ascii=False)
    assert made["merge"].name not in said.replace(made["name"], "") and str(made["merge"].parent) not in said
    inputs = [row["input"] for row in read_jsonl(rows / "train.jsonl")]
    assert inputs and not any(text in said for text in inputs)


@pytest.mark.parametrize(
    ("fp32", "bf16", "told"),
    [
        ({}, {}, None),
        ({}, {"same_answers": 0.0, "same_top_token": 0.9, "max_abs_logit": 0.5}, None),  # near ties that fall otherwise
        ({"max_abs_logit": 0.011}, {}, "logits differ"),
        ({"max_abs_logit": float("nan")}, {}, "logits differ"),
        ({"same_answers": 0.875}, {}, "other labels than the adapter on 12%"),
        ({}, {"same_top_token": 0.89}, r"89.0% only.*\n.*cast to bf16"),
        ({}, {"same_top_token": float("nan")}, "cast to bf16"),
        (None, {"same_answers": 0.0, "same_top_token": 0.9, "max_abs_logit": 0.5}, None),
        (None, {"same_top_token": 0.89}, "does not hold the model in fp32"),
    ],
)
def test_a_merge_that_says_something_else_is_refused(fp32, bf16, told):
    same = {"max_abs_logit": 0.001, "same_top_token": 1.0, "same_answers": 1.0}
    check = {"bf16": {**same, **bf16}, **({} if fp32 is None else {"fp32": {**same, **fp32}})}
    if told is None:
        return merging._refuse_different(check)
    with pytest.raises(UserError, match=told):
        merging._refuse_different(check)


def test_what_slurm_was_asked_for_is_the_memory_that_merging_has(monkeypatch):
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    assert merging._room(10_000_000)
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "50")  # MB; 10 M weights take 40 MB in fp32, and a third to spare
    assert not merging._room(10_000_000)
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "52")
    assert merging._room(10_000_000)


def test_a_model_that_memory_holds_in_bf16_only_is_merged_to_the_same_bytes(made, rows, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    base, whole, sharded = (tmp_path / name for name in ("base", "whole", "sharded"))
    shutil.copytree(made["base"], base)
    AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.bfloat16).save_pretrained(
        str(base)
    )  # as bases are published
    options = {"family": made["family"], "template": template(made["family"]), "context": 512}
    for out in (whole, sharded):
        out.mkdir()
        merging.merge(base, made["train"], rows, out, **options)
        monkeypatch.setattr(merging, "_room", lambda weights: False)
        monkeypatch.setattr(merging, "SHARD", "2MB")
    check = read_json(sharded / "merge_check.json")
    assert check["compared_in"] == "bf16" and "fp32" not in check and check["bf16"]["same_top_token"] > 0.9
    assert len(list(sharded.glob("model-*.safetensors"))) > 1
    one, other = (
        {name: of for path in directory.glob("*.safetensors") for name, of in load_file(path).items()}
        for directory in (whole, sharded)
    )
    assert one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_an_adapter_is_not_merged_into_a_quantised_base_or_to_something_else(made, rows, tmp_path, monkeypatch):
    base = tmp_path / "base"
    shutil.copytree(made["base"], base)
    options = {"family": made["family"], "template": template(made["family"]), "context": 512}
    config = read_json(base / "config.json")
    write_json(base / "config.json", {**config, "quantization_config": {"quant_method": "bitsandbytes"}})
    with pytest.raises(UserError, match=r"quantised \(bitsandbytes\)"):
        merging.merge(base, made["train"], rows, tmp_path, **options)
    monkeypatch.setattr(merging, "_merge_layers", lambda adapted: adapted.unload())  # leaves the adapter out
    with pytest.raises(UserError, match="logits differ"):
        merging.merge(made["base"], made["train"], rows, tmp_path, **options)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (
            lambda merged: (merged / "model-00002-of-00002.safetensors").unlink(),
            "model-00002-of-00002.safetensors of its",
        ),
        (
            lambda merged: os.truncate(merged / "model-00001-of-00002.safetensors", 5000),
            "this file of weights is cut off",
        ),
        (lambda merged: [path.unlink() for path in merged.glob("*.safetensors*")], "model.safetensors of its weights"),
    ],
)
def test_a_merged_directory_that_is_not_whole_is_refused(bases, tmp_path, harm, told):
    from transformers import AutoModelForCausalLM

    merged, out = tmp_path / "merged", tmp_path / "out"
    out.mkdir()
    AutoModelForCausalLM.from_pretrained(str(bases / "tiny-qwen2")).save_pretrained(str(merged), max_shard_size="6MB")
    assert converting.whole(merged) > 5_000_000
    harm(merged)
    with pytest.raises(UserError, match=told) as refused:
        converting.convert(merged, out, tmp_path, "tiny", "f16")
    assert str(merged) in refused.value.message() and not list(out.iterdir())


def test_a_disk_too_full_for_a_gguf_is_told_before(made, tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=65 << 20))
    for made_it in (
        lambda: converting.convert(made["merge"], tmp_path, tmp_path, "tiny", "f16"),
        lambda: quantising.quantise(made["convert"], tmp_path, "Q8_0"),
    ):
        with pytest.raises(UserError, match=r"takes about .* MB, and 68.2 MB are free") as refused:
            made_it()
        assert "MINDGAUGE_STORE" in refused.value.message() and not list(tmp_path.iterdir())


def test_a_bundle_is_refused_where_the_gates_say_fail(bundled, tmp_path):
    inputs, options = bundled["asked"]
    with pytest.raises(UserError, match=r"the gates refuse .*no gate is set|the gates refuse .*there is no figure"):
        bundling.bundle(inputs, tmp_path, **options, despite_gates=False)
    assert not list(tmp_path.iterdir())


def test_the_bundle_is_complete_and_holds_no_record(bundled, rows, tmp_path, scheme):
    out = bundled["bundle"]
    names = {path.name for path in out.iterdir()}
    assert names == {
        f"{bundled['name']}-Q4_K_M.gguf",
        "prompt.txt",
        "chat_template.jinja",
        "bundle.json",
        "grammar.gbnf",
        "schema.json",
        "Modelfile",
        "README.md",
        "NOTICES.md",
        "metrics.json",
        "checksums.txt",
    }
    # In the order of training, in which a server that is given it writes the labels.
    assert list(read_json(out / "schema.json")["properties"]) == list(scheme.names)
    card = (out / "README.md").read_text()
    assert "Its gates say fail" in card
    header = ModelCard(card).data
    assert (header.license, header.license_name, header.library_name) == ("other", "MIT", "gguf")
    assert header.datasets == ["s"] and header.model_name == f"{bundled['name']} (Q4_K_M)"
    named = {of.metric_name.partition(" (")[0]: of for of in header.eval_results if of.dataset_type == "mindgauge-test"}
    assert set(named) >= {f"macro-F1 of {label}" for label in scheme.names}
    assert all(0 <= of.metric_value <= 1 and "n = 6" in of.dataset_name for of in named.values())
    table = [line.split(" | ")[0].strip("| *") for line in card.splitlines() if line.startswith("| ")]
    assert table[1:5] == list(scheme.names)  # in the order of the answer
    gold = tmp_path / "own.csv"
    gold.write_text("said,risk_flag\n甲事第1次,none\n乙事第2次,suicidal\n", encoding="utf-8")
    found = own_gold.judge(out, gold, {"text": "said"})
    assert (
        found["constrained"]["n"] == 2
        and found["constrained"]["json_valid"] == 1.0
        and list(found["constrained"]["fields"]) == ["risk_flag"]
    )
    assert "any risk: " in own_gold.table(found) and "甲" not in own_gold.table(found)
    gold.write_text("said,risk_flag\n甲,maybe\n", encoding="utf-8")
    with pytest.raises(UserError, match="column risk_flag: not one of none"):
        own_gold.judge(out, gold, {"text": "said"})
    notices = (out / "NOTICES.md").read_text()
    assert (
        "release: fail" in card
        and "not a diagnosis" in card
        and "12356" in card
        and "a notice" in notices
        and "of no use" not in notices
    )
    assert subprocess.run(["sha256sum", "-c", "checksums.txt"], cwd=out, capture_output=True).returncode == 0
    text = "".join(path.read_text() for path in out.iterdir() if path.suffix != ".gguf")
    assert not any(row["input"] in text for row in read_jsonl(rows / "test.jsonl"))


def test_a_tokenizer_of_another_family_is_refused(bases):
    with pytest.raises(UserError, match="no token"):
        chat.Chat.load(bases / "tiny-llama", template("qwen3"), "qwen3")
