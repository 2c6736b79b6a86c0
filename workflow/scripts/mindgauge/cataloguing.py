"""The catalogue: every view, the entry behind it, its key, sha256 and size, and the step that made it."""

from pathlib import Path
from typing import Any

from mindgauge.files import read_json, write_json


def catalogue(entries: list[Path], out: Path, views: list[dict[str, Any]]) -> None:
    """Writes catalogue.json. Two runs are the same if their manifests are: it holds neither dates nor absolute paths."""
    found = {}
    for entry, view in zip(entries, views, strict=True):
        manifest = read_json(entry / "manifest.json")
        step, *_, key = manifest["where"].split("/")
        recipe = manifest["recipe"]
        found[view["view"]] = {
            "entry": manifest["where"],
            "key": key,
            "step": step,
            "file": view["file"],
            **manifest["files"][view["file"]],
            "code": recipe["code"],
            "inputs": recipe["inputs"],
            "lists": recipe["lists"],
        }
    write_json(out / "catalogue.json", {"views": found})
