"""SentencePiece's dummy prefix: whichever way a tokenizer puts one, none is left, here and in the merged directory."""

import json
import shutil

import pytest
from conftest import INSTRUCTION, template

from mindgauge import chat, dummy_prefix, merging

REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
METASPACE = {"type": "Metaspace", "replacement": "▁", "split": False}
# As the published tokenizers of this family have had it: normalizer, pre_tokenizer.
KINDS = {
    "first": (None, METASPACE | {"prepend_scheme": "first"}),
    "always": (None, METASPACE | {"prepend_scheme": "always"}),
    "legacy": ({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, REPLACE]}, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_prefix_is_left(bases, tmp_path, kind):
    from transformers import AutoTokenizer

    base, merged = tmp_path / "base", tmp_path / "merged"
    shutil.copytree(bases / "tiny-mistral", base)
    merged.mkdir()
    state = json.loads((base / "tokenizer.json").read_text())
    state["normalizer"], state["pre_tokenizer"] = KINDS[kind]
    (base / "tokenizer.json").write_text(json.dumps(state))
    stock = AutoTokenizer.from_pretrained(str(base))
    assert stock.tokenize("我")[0] != "我"
    talk = chat.Chat.load(base, template("mistral"), "mistral")
    whole = talk.render(INSTRUCTION, "我", "{}")
    assert talk.tokenizer.tokenize("我")[0] == "我"
    assert talk.tokenizer.tokenize(whole)[:4] == ["<s>", "[INST]", "▁", "读"]
    assert talk.tokenizer.decode(talk.ids(" {}")) == " {}"
    # The family's own tokenizer of today gives a prompt these tokens too: its prefix never stood in one.
    assert kind != "first" or stock(whole, add_special_tokens=False)["input_ids"] == talk.ids(whole)
    merging._tokenizer(base, merged, talk)
    shutil.copy(base / "config.json", merged)
    found = AutoTokenizer.from_pretrained(str(merged))
    for text in ("我", whole):
        assert found(text, add_special_tokens=False)["input_ids"] == talk.ids(text)
    assert (merged / "tokenizer.model").is_file()
    assert json.loads((merged / "tokenizer_config.json").read_text())["add_prefix_space"] is False


def test_what_has_none_stays_as_it_is(bases):
    for name in ("tiny-qwen2", "tiny-llama", "tiny-gemma3"):
        state = json.loads((bases / name / "tokenizer.json").read_text())
        assert dummy_prefix.without(state) is state
