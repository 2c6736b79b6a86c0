"""SMILE: `N.json`, a list of {role: client|counselor, content}."""

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from mindgauge.readers.roles import NAMED
from mindgauge.readers.text import Seen
from mindgauge.records import Record, Turn

FORMAT = "a directory of N.json, each a list of objects with role (client or counselor) and content"
SUFFIXES = (".json",)


class Said(TypedDict):
    """A turn as the set holds it."""

    role: str
    content: str


SHAPE = list[Said]


def from_file(items: list[Any], file: Path, seen: Seen) -> Record | str:
    """The record of a file."""
    turns = []
    for item in items:
        if item["role"] not in NAMED:
            return "a role that is neither client nor counselor"
        seen.roles[item["role"]] += 1
        turns.append(Turn(NAMED[item["role"]], item["content"]))
    return Record("", file.stem, "dialogue", turns) if turns else "no turn"
