"""Readers: one module a format. A new format is a module and a line in READERS.

A module says its FORMAT in words and its SUFFIXES, and makes records by one of: `from_text` (a file of text is a record),
`from_file` (a file of JSON is a record), `from_item` (each item of a JSON file is one), `from_row` (each row of a table).
SHAPE is the type the JSON must have. Each returns the record, or why there is none. `names` is what the config says of the
source's own names (`Source.names`): which column of a table holds what, what a class of PsySUICIDE stands for. Opening,
decoding, faults and counts are here and in `text`, the same for all.
"""

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mindgauge.errors import UserError
from mindgauge.readers import alpaca, cpsycound, cpsycoune, messages, psyqa, psysuicide, smile, table
from mindgauge.readers.text import Seen, json_values, plain, raw_files, read_text
from mindgauge.records import Broken, Record, Turn, fault

READERS: dict[str, Any] = {
    "cpsycound": cpsycound,
    "cpsycoune": cpsycoune,
    "psyqa": psyqa,
    "smile": smile,
    "psysuicide": psysuicide,
    "alpaca": alpaca,
    "messages": messages,
    "table": table,
}
LOOK = 20
HALF = re.compile("[\ud800-\udfff]")


@cache
def _adapter(reader: str) -> TypeAdapter[Any]:
    shape = READERS[reader].SHAPE
    return TypeAdapter(shape, config=None if getattr(shape, "__annotations__", None) else ConfigDict(strict=True))


def _shaped(reader: str, value: Any) -> str:
    """Why a JSON value is not of the reader's shape; empty if it is."""
    try:
        _adapter(reader).validate_python(value)
    except ValidationError as error:
        return fault(error)
    return ""


def _of_file(reader: str, file: Path, names: dict[str, Any], seen: Seen) -> Iterator[Record | Broken]:
    """The records of one file."""
    module = READERS[reader]
    seen.file, seen.line = file.name, 1
    if hasattr(module, "from_text"):
        text = read_text(file, seen)
        made = text if isinstance(text, Broken) else module.from_text(text, file, seen)
        yield made if not isinstance(made, str) else Broken(file.name, 1, made)
    elif hasattr(module, "from_file"):
        values = list(json_values(file, seen))
        broken = next((found for found in values if isinstance(found, Broken)), None)
        items = [found.value for found in values if not isinstance(found, Broken)]
        made = broken or _shaped(reader, items) or module.from_file(items, file, seen)
        yield made if not isinstance(made, str) else Broken(file.name, 1, made)
    else:
        rows = hasattr(module, "from_row")
        for number, found in enumerate(table.rows(file, seen) if rows else json_values(file, seen)):
            if isinstance(found, Broken):
                yield found
                continue
            seen.line = found.line
            made = (
                module.from_row(found.value, f"{file.stem}-{found.line}", names, seen)
                if rows
                else _shaped(reader, found.value) or module.from_item(found.value, f"{file.stem}-{number}", names, seen)
            )
            yield made if not isinstance(made, str) else Broken(file.name, found.line, made)


def _decoded(text: str) -> str:
    """JSON may escape half of a character (a lone surrogate), which no file can hold: it becomes U+FFFD."""
    text = plain(text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if HALF.search(text) else text


def read(
    reader: str,
    path: Path,
    source: str,
    role: Any,
    names: dict[str, Any],
    licence: str = "unknown",
    seen: Seen | None = None,
) -> Iterator[Record | Broken]:
    """The records of a source, one after another, and what could not be read. `seen` is filled on the way; while a record is
    looked at, it says where that one stands."""
    seen = seen if seen is not None else Seen()
    for file in raw_files(path, READERS[reader].SUFFIXES, seen):
        for found in [file] if isinstance(file, Broken) else _of_file(reader, file, names, seen):
            if isinstance(found, Record) and role != "gold" and not found.words("client") and found.id:
                # Only a row of gold may leave its words to the record that it names.
                found = Broken(seen.file, seen.line, table.no_text(names))
            if isinstance(found, Record):
                found.source, found.role, found.licence = source, role, licence
                found.key = _decoded(found.key)
                found.keywords = [_decoded(word) for word in found.keywords]
                found.question = _decoded(found.question) if found.question else None
                found.turns = [Turn(turn.role, _decoded(turn.text)) for turn in found.turns]
            yield found


def _fits(reader: str, path: Path, names: dict[str, Any]) -> bool:
    """Is one of the first records of this format? (Of gold more is taken than of other sources.)"""
    found = itertools.islice(read(reader, path, "", "gold", names), LOOK)
    return any(isinstance(record, Record) for record in found)


def check(reader: str, path: Path, source: str, names: dict[str, Any]) -> None:
    """Looks at the first records of a source. Raises UserError if none is of the declared format, naming the reader that
    fits if one does."""
    if _fits(reader, path, names):
        return
    other = next((name for name in READERS if name != reader and _fits(name, path, {})), None)
    raise UserError(
        f"the raw files of {source} are not of the format {reader!r}: {READERS[reader].FORMAT}",
        where=f"sources.{source}: {path}",
        instead=f"reader: {other}" if other else f"files of that format, or another reader ({', '.join(READERS)})",
    )
