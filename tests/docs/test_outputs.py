"""docs/outputs.md names every file and every field. fields.json holds the names that a finished demo has; the slow test compares
it with a run, and `python tests/docs/test_outputs.py` writes it anew from `results/` of this clone."""

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import documents
import pytest
from conftest import ROOT

from mindgauge import result_schema
from mindgauge.labels import Scheme

FIELDS = Path(__file__).with_name("fields.json")
SCHEME = Scheme.load(ROOT / "config/labels.yaml")
# Objects whose keys are data: names of sources, labels, values, models, reasons …
BY_NAME = {
    *("by_reason", "encodings", "line_ends", "files_left_out", "roles", "identities", "sources", "dropped", "themes"),
    *("pairs", "fields", "by_source", "voters", "faults", "left_out", "variants", "views", "flips", "counts", "kinds"),
    *("taken_for_students", "failed", "repaired", "files", "models", "ingest", "per_value", "intervals", "versions"),
    *("temperatures", "source", "theme", "length", "settings", "reference", "labels", "probabilities", "confidences"),
    *("free", "constrained", "gates", "quants", "baselines", "beats_majority", "seeds", "inputs", "lists", "tensors"),
    *("entries", "values"),
}
# Data all through; of run.json the options of the section `train`, which config/README.md describes.
# A recipe's params are those options of the config that decide it.
NOT_OURS = {"faults", "themes", "numbers", "params"}
# Objects whose keys are data at the top of a file.
ALL_BY_NAME = {"audit_weights.json", "gates.json", "dataset_info.json"}
# Made by others, in their own form: not ours to describe.
OTHERS = {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "adapter_config.json"}
OTHERS |= {"schema.json", "answer.schema.json"}
# Logs, and what is made only when it is asked for by name.
APART = {"logs", "crate.zip", "report.zip", "export"}
VALUES = {str(value) for field in SCHEME.fields for value in (field.name, *field.values)}


def names(value: Any, by_name: bool = False) -> set[str]:
    """The names of the fields in plain data, at any depth."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inside in value.items():
            if not by_name and key not in VALUES:
                found.add(key)
            if key not in NOT_OURS:
                found |= names(inside, not by_name and key in BY_NAME)
    elif isinstance(value, list):
        for inside in value:
            found |= names(inside)
    return found


def held(path: Path) -> set[str]:
    """The names of the fields of a file."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        rest = [re.sub(rf"^(?:{'|'.join(VALUES)})_?", "", name) for name in next(csv.reader(text.splitlines()))]
        return set(rest) - {""}
    if path.suffix == ".jsonl":
        return names([json.loads(line) for line in text.splitlines()[:50]])
    value = json.loads(text)
    if path.parent.name == "eval" or path.name == "metrics.json":
        value = {**value, "results": {}} if "results" in value else value  # result records: by their schema
    if path.name == "results.json":
        return set(value)  # the rest are the files it is made of
    return names(value, path.name in ALL_BY_NAME)


def view(path: Path, results: Path) -> str:
    """The path of a view without the names of models, sources and quants."""
    text = path.relative_to(results).as_posix()
    text = re.sub(
        r"^(models|base|data/ingest)/[^/]+", lambda m: f"{m[1]}/<{'source' if 'data' in m[1] else 'model'}>", text
    )
    text = re.sub(r"tiny-\w+", "<model>", text)
    text = re.sub(r"eval/(base|adapter|merged|b?f16|Q\w+)\.json", "eval/<variant>.json", text)
    text = re.sub(r"Q\d\w+|bf16|f16", "<quant>", text)
    return re.sub(r"baselines/\w+", "baselines/<name>", text)


def found_in(results: Path) -> dict[str, list[str]]:
    """View -> names of its fields, of a finished demo."""
    found: dict[str, set[str]] = {}
    for path in sorted(results.rglob("*")):
        inside = path.relative_to(results).parts
        if path.is_dir() or inside[0].startswith(".") or inside[0] in APART:
            continue
        of = found.setdefault(view(path, results), set())
        if path.suffix in (".json", ".jsonl", ".csv") and path.name not in OTHERS:
            of |= held(path)
    return {name: sorted(of) for name, of in sorted(found.items())}


def told() -> set[str]:
    """Every word in the code of the two documents."""
    spans = [span for path in ("docs/outputs.md", "docs/result-record.md") for _, span in documents.spans(path)]
    return {word for span in spans for word in re.split(r"[^\w?/ -]+| (?![a-z(])", span)} | {
        word for span in spans for word in re.findall(r"\w+", span)
    }


@pytest.mark.parametrize("name", json.loads(FIELDS.read_text()))
def test_every_field_is_named(name):
    words = told()
    missing = [field for field in json.loads(FIELDS.read_text())[name] if not set(re.findall(r"\w+", field)) <= words]
    assert not missing, f"docs/outputs.md does not name {missing} of {name}"


@pytest.mark.parametrize("name", json.loads(FIELDS.read_text()))
def test_every_file_is_named(name):
    text = (ROOT / "docs/outputs.md").read_text(encoding="utf-8")
    last = name.rpartition("/")[2]
    stem, _, suffix = last.rpartition(".")
    assert last in text or (stem in text and f".{suffix}" in text), f"docs/outputs.md does not name {name}"


def test_every_key_of_the_result_schema_is_named():
    words = told()
    parts = [of for of in vars(result_schema).values() if isinstance(of, type) and issubclass(of, result_schema.Part)]
    assert not {name for part in parts for name in part.model_fields if name not in words}


@pytest.mark.slow
def test_the_demo_has_the_fields_that_are_told(first):
    told_of, found = json.loads(FIELDS.read_text()), found_in(first.root / "results")
    assert not {name: new for name, of in found.items() if (new := sorted(set(of) - set(told_of.get(name, []))))}
    assert set(told_of) == set(found)


if __name__ == "__main__":
    demo = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results"
    FIELDS.write_text(json.dumps(found_in(demo), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
