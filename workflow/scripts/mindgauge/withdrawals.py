"""The list of the records that were withdrawn by the persons they are about: ids alone, which follow from the words and tell none.

A record stands there by the id of its words as they were read, so that it is not read in again, and by that of its common form, so
that it is dropped wherever the same words stand.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.files import atomic_path
from mindgauge.records import ID_DIGITS

WITHDRAWN = "withdrawn"
ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")


def valid(identifier: str, where: str) -> str:
    """The id. Raises UserError if it is none (what was written is not quoted: it may be anything)."""
    if not ID.fullmatch(identifier):
        raise UserError(
            "this is no id of a record", where=where, instead=f"{ID_DIGITS} hex digits, as `id` in unified.jsonl"
        )
    return identifier


def read(path: Path | None) -> frozenset[str]:
    """The ids in a list; none where there is no file. Raises UserError for a line that is none."""
    if path is None or not path.is_file():
        return frozenset()
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return frozenset(valid(line.strip(), f"{path}:{number}") for number, line in lines if line.strip())


def add(path: Path, ids: Iterable[str]) -> None:
    """Adds ids to a list, which only its owner can read."""
    text = "".join(f"{one}\n" for one in sorted(read(path) | set(ids)))
    with atomic_path(path) as aside:
        aside.touch(mode=0o600)
        aside.write_text(text, encoding="utf-8")
