"""Readers: one module a format. A new format is a module with FORMAT and read, and a line in READERS."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.readers import cpsycound, cpsycoune, psyqa, psysuicide, smile, table
from mindgauge.records import Broken, Record

READERS = {
    "cpsycound": cpsycound,
    "cpsycoune": cpsycoune,
    "psyqa": psyqa,
    "smile": smile,
    "psysuicide": psysuicide,
    "jsonl": table,
    "csv": table,
}
LOOK = 20


def read(reader: str, path: Path, source: str, role: str, columns: dict[str, str]) -> Iterator[Record | Broken]:
    """The records of a source, one after another, and what could not be read."""
    for found in READERS[reader].read(path, columns):
        if isinstance(found, Record):
            found.source, found.role = source, role
        yield found


def _fits(reader: str, path: Path, columns: dict[str, str]) -> bool:
    """Is one of the first records of this format?"""
    try:
        return any(isinstance(found, Record) for found in itertools.islice(READERS[reader].read(path, columns), LOOK))
    except (UnicodeDecodeError, OSError):
        return False


def check(reader: str, path: Path, source: str, columns: dict[str, str]) -> None:
    """Looks at the first records of a source. Raises UserError if none is of the declared format, naming the reader that
    fits if one does."""
    if _fits(reader, path, columns):
        return
    other = next(
        (name for name in READERS if READERS[name] is not READERS[reader] and _fits(name, path, columns)), None
    )
    raise UserError(
        f"the raw files of {source} are not of the format {reader!r}: {READERS[reader].FORMAT}",
        where=f"sources.{source}: {path}",
        instead=f"reader: {other}" if other else f"files of that format, or another reader ({', '.join(READERS)})",
    )
