"""CPsyCounE: a directory a topic, in it `N.json`, a list of strings `求助者：…`, `支持者：…`."""

from pathlib import Path
from typing import Any

from mindgauge.readers.roles import turns_of
from mindgauge.readers.text import Seen
from mindgauge.records import Record

FORMAT = "a directory of <topic>/N.json, each a list of strings that begin with 求助者： or 支持者："
SUFFIXES = (".json",)
SHAPE = list[str]


def from_file(lines: list[Any], file: Path, seen: Seen) -> Record | str:
    """The record of a file, its topic as its keyword."""
    turns = turns_of((line for item in lines for line in item.split("\n")), seen)
    if not turns:
        return "no string begins with a role"
    return Record("", f"{file.parent.name}/{file.stem}", "dialogue", turns, keywords=[file.parent.name])
