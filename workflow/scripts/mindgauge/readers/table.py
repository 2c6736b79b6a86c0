"""Generic rows with a column map: JSONL, CSV, XLSX or Parquet.

`names` says which column holds `text` (the client's words), and if there are any `answer`, `key`, `id`, `question`, `keywords`
and the labels, by the names of the scheme. `labels`, if given, names a column with an object of labels. `id` is the id of a
record of this project, as the audit sheet carries it: such a row of gold may leave its words out (module `gold`).
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgauge.readers.text import MAX_VALUE, Seen, Value, json_values, opened
from mindgauge.records import Broken, Record, Turn

FORMAT = (
    "rows (.jsonl, .json, .csv, .xlsx or .parquet) with a column `text`, or another one named by `columns: {text: …}`"
)
SUFFIXES = (".jsonl", ".json", ".ndjson", ".csv", ".xlsx", ".parquet")
OWN = ("text", "answer", "key", "id", "question", "keywords")
WHOLE = re.compile(r"-?\d{1,9}(?:\.0+)?", re.ASCII)  # pandas and LibreOffice write 2 as 2.0
# An id, perhaps as review.py writes it into sheets: there it must not look like a number (0012e45678901234).
ID = re.compile(r"(?:id-)?([0-9a-f]{16})")


@dataclass(frozen=True)
class Unreadable:
    """A cell of a workbook that holds nothing to take, and why."""

    reason: str


def rows(file: Path, seen: Seen) -> Iterator[Value | Broken]:
    """The rows of a file as objects, each with its line. Of CSV and XLSX it is the row as a spreadsheet counts them, the heading
    being row 1; of Parquet the number."""
    if file.suffix == ".csv":
        yield from _below_heading(file, _csv(file, seen))
    elif file.suffix == ".xlsx":
        yield from _below_heading(file, _xlsx(file, seen))
    elif file.suffix == ".parquet":
        yield from _parquet(file, seen)
    else:
        yield from json_values(file, seen)


def _below_heading(file: Path, table: Iterator[tuple[int, list[Any]] | Broken]) -> Iterator[Value | Broken]:
    """Rows of cells as objects. A row in which nothing stands is none."""
    heading: list[str] | None = None
    count = 0
    for found in table:
        if isinstance(found, Broken):
            count += 1
            yield found
            continue
        number, cells = found
        if not any(isinstance(cell, Unreadable) or cell.strip() for cell in cells):
            continue
        if heading is None:
            heading = ["" if isinstance(cell, Unreadable) else cell.strip() for cell in cells]
            while heading and not heading[-1]:
                heading.pop()
            named = [name for name in heading if name]
            if len(set(named)) < len(named):
                # Not which one: a table without a heading begins with what somebody said.
                yield Broken(file.name, number, "two columns of the same name in the heading")
                return
            continue
        count += 1
        while len(cells) > len(heading) and cells[-1] == "":
            cells.pop()
        if any(isinstance(cell, str) and not cell.isprintable() and _undecoded(cell) for cell in cells):
            yield Broken(file.name, number, "neither UTF-8 nor GB18030")
        elif len(cells) != len(heading):
            yield Broken(file.name, number, "more or fewer cells than the heading has")
        else:
            yield Value(number, dict(zip(heading, cells, strict=True)))
    if not count:
        yield Broken(file.name, 1, "no row below a heading")


def _csv(file: Path, seen: Seen) -> Iterator[tuple[int, list[Any]] | Broken]:
    number = 0
    try:
        csv.field_size_limit(MAX_VALUE)
        raw, encoding = opened(file, seen)
        with raw, io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="") as lines:
            for number, cells in enumerate(csv.reader(line.replace("\0", "") for line in lines), 1):
                yield number, cells
    except csv.Error as error:
        yield Broken(file.name, number + 1, f"not CSV ({str(error).split(':')[0]})")
    except OSError as error:
        yield Broken(file.name, 0, f"cannot be read ({error.strerror})")


def _undecoded(cell: str) -> bool:
    """Bytes that were no text stand in it as lone surrogates (PEP 383)."""
    return any("\udc80" <= char <= "\udcff" for char in cell)


def _xlsx(file: Path, seen: Seen) -> Iterator[tuple[int, list[Any]] | Broken]:
    """The rows of the first sheet, twice side by side: openpyxl shows either the results of formulas or the formulas."""
    from openpyxl import load_workbook

    number = width = 0
    try:
        with file.open("rb") as results, file.open("rb") as formulas:
            seen.files += 1
            seen.encodings["xlsx"] += 1
            sheets = [
                load_workbook(opened_file, read_only=True, data_only=data_only, keep_links=False).worksheets[0]
                for opened_file, data_only in ((results, True), (formulas, False))
            ]
            for sheet in sheets:
                sheet.reset_dimensions()  # type: ignore[union-attr]  # some programs write a wrong size
            for number, pair in enumerate(zip(*(sheet.iter_rows() for sheet in sheets), strict=True), 1):
                result, formula = pair
                cells = [_cell(*both) for both in zip(result, formula, strict=True)]
                # Cells at the end of a row that hold nothing need not be in the file.
                width = max(width, len(cells))
                yield number, cells + [""] * (width - len(cells))
    except OSError as error:
        yield Broken(file.name, 0, f"cannot be read ({error.strerror})")
    except Exception:  # a damaged workbook raises whatever zipfile, zlib, the XML parser and openpyxl come upon
        yield Broken(file.name, number + 1, "not a workbook (.xlsx) from here on")


def _cell(result: Any, formula: Any) -> str | Unreadable:
    """A cell as CSV would hold it."""
    value = result.value
    if formula.data_type == "f" and value is None:
        return Unreadable("a formula without its result; save the sheet in a spreadsheet program, or put in the value")
    if result.data_type == "e":
        return Unreadable("a formula that gives an error")
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _parquet(file: Path, seen: Seen) -> Iterator[Value | Broken]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        seen.files += 1
        seen.encodings["parquet"] += 1
        with pyarrow.parquet.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield Value(number, row)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError):
        yield Broken(file.name, number + 1, "not Parquet from here on")


def _value(cell: Any) -> Any:
    """A label from a cell: a whole number where it is one, full-width digits too; else the word."""
    if isinstance(cell, str):
        word = unicodedata.normalize("NFKC", cell).strip()
        return int(word.partition(".")[0]) if WHOLE.fullmatch(word) else word
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _labels(row: dict[str, Any], names: dict[str, Any]) -> dict[str, Any] | str:
    """The labels of a row, or which column holds none of the kind."""
    column = names.get("labels", "labels")
    held = row.get(column)
    if isinstance(held, str) and held.strip().startswith("{"):  # CSV holds an object as its JSON
        try:
            held = json.loads(held)
        except (ValueError, RecursionError):
            return f"column {column}: not an object of labels"
    labels = dict(held) if isinstance(held, dict) else {}
    if not all(isinstance(value, int | str) and not isinstance(value, bool) for value in labels.values()):
        return f"column {column}: a label that is neither a whole number nor a word"
    for name, place in names.items():
        if name in (*OWN, "labels") or row.get(place) is None:
            continue
        value = _value(row[place])
        if not isinstance(value, int | str) or isinstance(value, bool):
            return f"column {place}: neither a whole number nor a word"
        if value != "":
            labels[name] = value
    return labels


def no_text(names: dict[str, Any]) -> str:
    """Why a row without the client's words is none."""
    return f"column {names.get('text', 'text')}: no text in the column that should hold it"


def from_row(row: Any, key: str, names: dict[str, Any], seen: Seen) -> Record | str:
    """The record of a row. One that names a record by `id` and has no words of its own holds a turn without text."""
    if not isinstance(row, dict):
        return "not an object with columns"
    for column in (names.get(name, name) for name in (*OWN, "labels", *names)):
        if isinstance(cell := row.get(column), Unreadable):
            return f"column {column}: {cell.reason}"
    own = {name: row.get(names.get(name, name)) for name in OWN}
    text, answer, question, words = own["text"], own["answer"], own["question"], own["keywords"] or []
    named = ID.fullmatch(str(own["id"]).strip())
    if not isinstance(text, str) or not text.strip():
        if not named:
            return no_text(names)
        text = ""
    labels = _labels(row, names)
    if isinstance(labels, str):
        return labels
    # A row that names a record is found again by where it stands.
    called = None if named else next((own[name] for name in ("key", "id") if own[name] not in (None, "")), None)
    return Record(
        "",
        key if called is None else str(called),
        "qa",
        [
            Turn("client", text.strip()),
            *([Turn("counsellor", answer.strip())] if isinstance(answer, str) and answer.strip() else []),
        ],
        keywords=[str(word) for word in words] if isinstance(words, list) else str(words).split(","),
        question=question if isinstance(question, str) else None,
        labels=labels or None,
        id=named[1] if named else None,
    )
