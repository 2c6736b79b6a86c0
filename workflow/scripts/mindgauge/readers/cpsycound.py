"""CPsyCounD as on GitHub: a tree of `case_N.txt`, one dialogue a file, a role prefix before each turn."""

from collections.abc import Iterator
from pathlib import Path

from mindgauge.files import files_below
from mindgauge.readers.roles import turns_of
from mindgauge.readers.text import read_text
from mindgauge.records import Broken, Record

FORMAT = "a directory of case_N.txt, each line a turn that begins with 来访者： or 心理咨询师："


def read(path: Path, columns: dict[str, str]) -> Iterator[Record | Broken]:
    """One record a file; a file without a role prefix is broken."""
    for file in files_below(path) if path.is_dir() else [path]:
        if file.suffix != ".txt":
            continue
        try:
            turns = turns_of(read_text(file).split("\n"))
        except UnicodeDecodeError:
            yield Broken(file.name, 1, "neither UTF-8 nor GB18030")
            continue
        if not turns:
            yield Broken(file.name, 1, "no line begins with a role")
        else:
            yield Record("", file.stem, "dialogue", turns)
