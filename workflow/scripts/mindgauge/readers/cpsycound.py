"""CPsyCounD as on GitHub: a tree of `case_N.txt`, one dialogue a file, a role prefix before each turn."""

from pathlib import Path

from mindgauge.readers.roles import turns_of
from mindgauge.readers.text import Seen
from mindgauge.records import Record

FORMAT = "a directory of case_N.txt, each line a turn that begins with 来访者： or 心理咨询师："
SUFFIXES = (".txt",)


def from_text(text: str, file: Path, seen: Seen) -> Record | str:
    """The record of a file, or why it is none."""
    turns = turns_of(text.split("\n"), seen)
    return Record("", file.stem, "dialogue", turns) if turns else "no line begins with a role"
