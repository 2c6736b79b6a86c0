"""CPsyCounE: a directory a topic, in it `N.json`, a list of strings `求助者：…`, `支持者：…`."""

from collections.abc import Iterator
from pathlib import Path

from mindgauge.files import files_below
from mindgauge.readers.roles import turns_of
from mindgauge.readers.text import json_items
from mindgauge.records import Broken, Record

FORMAT = "a directory of <topic>/N.json, each a list of strings that begin with 求助者： or 支持者："


def read(path: Path, columns: dict[str, str]) -> Iterator[Record | Broken]:
    """One record a file, its topic as its keyword."""
    for file in files_below(path) if path.is_dir() else [path]:
        if file.suffix != ".json":
            continue
        try:
            lines = [item for _, item in json_items(file)]
        except (ValueError, UnicodeDecodeError) as error:
            yield Broken(file.name, error.args[0] if type(error) is ValueError else 1, "not JSON")
            continue
        turns = (
            turns_of(line for item in lines for line in item.split("\n"))
            if all(isinstance(item, str) for item in lines)
            else []
        )
        if turns:
            yield Record("", f"{file.parent.name}/{file.stem}", "dialogue", turns, keywords=[file.parent.name])
        else:
            yield Broken(file.name, 1, "not a list of strings that begin with a role")
