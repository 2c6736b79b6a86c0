"""SMILE: `N.json`, a list of {role: client|counselor, content}."""

from collections.abc import Iterator
from pathlib import Path

from mindgauge.files import files_below
from mindgauge.readers.text import json_items
from mindgauge.records import Broken, Record, Turn

FORMAT = "a directory of N.json, each a list of objects with role (client or counselor) and content"


def read(path: Path, columns: dict[str, str]) -> Iterator[Record | Broken]:
    """One record a file."""
    for file in files_below(path) if path.is_dir() else [path]:
        if file.suffix != ".json":
            continue
        try:
            items = [item for _, item in json_items(file)]
            turns = [
                Turn("client" if item["role"] == "client" else "counsellor", item["content"].strip()) for item in items
            ]
        except (ValueError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
            yield Broken(file.name, 1, "not a list of objects with role and content")
            continue
        yield Record("", file.stem, "dialogue", turns) if turns else Broken(file.name, 1, "no turn")
