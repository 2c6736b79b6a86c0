"""Writes arguments.json: the names of LLaMA-Factory's training arguments, which tests/unit/test_llama_factory.py holds ours against.
Run by a Python that has the real package: docs/llama-factory.md says how."""

import json
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

from llamafactory.data.template import TEMPLATES
from llamafactory.hparams.parser import _TRAIN_ARGS

if __name__ == "__main__":
    names = sorted({field.name for of in _TRAIN_ARGS for field in fields(of) if field.init})
    found = {"version": version("llamafactory"), "arguments": names, "templates": sorted(TEMPLATES)}
    Path(__file__).with_name("arguments.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(names)} arguments and {len(TEMPLATES)} templates of LLaMA-Factory {found['version']}")
