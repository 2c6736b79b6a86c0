"""Runs llama.cpp's converter (its directory is the first argument, a JSON file of further key-values the second) with two additions,
made in memory. The one writes those key-values, for which the converter has no option. The other:

The converter knows a byte-level BPE's pre-tokenizer by a hash over the tokens of a test string, so it knows published
vocabularies only. Where the hash is unknown, the split pattern itself is compared with those llama.cpp implements; anything
else stays refused. (llama.cpp, docs/development/HOWTO-add-model.md; conversion/base.py, get_vocab_base_pre.)
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

# The patterns of src/llama-vocab.cpp for these two, as tokenizer.json writes them.
PRE_TOKENIZERS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
}


def pre_tokenizer(tokenizer_json: Path) -> str | None:
    """llama.cpp's name for the split pattern of a tokenizer.json, or None if it is none of those above."""
    found = json.loads(tokenizer_json.read_text(encoding="utf-8")).get("pre_tokenizer") or {}
    patterns = [
        part["pattern"].get("Regex") for part in found.get("pretokenizers", [found]) if part.get("type") == "Split"
    ]
    return PRE_TOKENIZERS.get(patterns[0]) if len(patterns) == 1 else None


def main() -> None:
    """Patches the converter and runs it as a program."""
    vendor, further = sys.argv.pop(1), json.loads(Path(sys.argv.pop(1)).read_text(encoding="utf-8"))
    sys.path[0:1] = [vendor, f"{vendor}/gguf-py"]
    from conversion.base import ModelBase, TextModel  # type: ignore[import-not-found]

    known, prepared = TextModel.get_vocab_base_pre, ModelBase.prepare_metadata

    def get_vocab_base_pre(self: Any, tokenizer: Any) -> str:
        try:
            return known(self, tokenizer)
        except NotImplementedError:
            name = pre_tokenizer(self.dir_model / "tokenizer.json")
            if name is None:
                raise
            return name

    def prepare_metadata(self: Any, vocab_only: bool) -> None:
        prepared(self, vocab_only)
        for name, value in further.items():
            self.gguf_writer.add_string(name, value)

    TextModel.get_vocab_base_pre = get_vocab_base_pre
    ModelBase.prepare_metadata = prepare_metadata
    sys.argv[0] = f"{vendor}/convert_hf_to_gguf.py"
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
