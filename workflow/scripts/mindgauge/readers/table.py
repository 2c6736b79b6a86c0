"""Generic rows with a column map: JSONL, CSV or Parquet.

`columns` says which column holds `text` (the client's words), and if there are any `answer`, `key`, `question`, `keywords`
and the labels, by the names of the scheme. `labels`, if given, names a column with an object of labels.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge.readers.text import MAX_VALUE, Seen, Value, json_values, opened
from mindgauge.records import Broken, Record, Turn

FORMAT = "rows (.jsonl, .json, .csv or .parquet) with a column `text`, or another one named by `columns: {text: …}`"
SUFFIXES = (".jsonl", ".json", ".ndjson", ".csv", ".parquet")
OWN = ("text", "answer", "key", "question", "keywords")


def rows(file: Path, seen: Seen) -> Iterator[Value | Broken]:
    """The rows of a file as objects, each with its line (Parquet: its number)."""
    if file.suffix == ".csv":
        yield from _csv(file, seen)
    elif file.suffix == ".parquet":
        yield from _parquet(file, seen)
    else:
        yield from json_values(file, seen)


def _csv(file: Path, seen: Seen) -> Iterator[Value | Broken]:
    try:
        csv.field_size_limit(MAX_VALUE)
        raw, encoding = opened(file, seen)
        with raw, io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="") as lines:
            table = csv.DictReader((line.replace("\0", "") for line in lines), restkey="")
            number = 1
            while True:
                try:
                    row = next(table, None)
                except csv.Error as error:
                    yield Broken(file.name, table.line_num, f"not CSV ({str(error).split(':')[0]})")
                    return
                if row is None:
                    return
                number += 1
                if any(isinstance(cell, str) and not cell.isprintable() and _undecoded(cell) for cell in row.values()):
                    yield Broken(file.name, number, "neither UTF-8 nor GB18030")
                elif "" in row or None in row.values():
                    yield Broken(file.name, number, "more or fewer cells than the heading has")
                else:
                    yield Value(number, row)
    except OSError as error:
        yield Broken(file.name, 0, f"cannot be read ({error.strerror})")


def _undecoded(cell: str) -> bool:
    """Bytes that were no text stand in it as lone surrogates (PEP 383)."""
    return any("\udc80" <= char <= "\udcff" for char in cell)


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


def _value(text: Any) -> Any:
    """A label from a cell: a whole number where it is one."""
    if isinstance(text, str) and text.strip().lstrip("-").isascii() and text.strip().lstrip("-").isdigit():
        return int(text)
    return int(text) if isinstance(text, float) and text.is_integer() else text


def _labels(row: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    held = row.get(columns.get("labels", "labels"))
    if isinstance(held, str) and held.strip().startswith("{"):  # CSV holds an object as its JSON
        try:
            held = json.loads(held)
        except ValueError:
            held = None
    named = {
        name: _value(row[column])
        for name, column in columns.items()
        if name not in (*OWN, "labels") and row.get(column) not in (None, "")
    }
    return {**(held if isinstance(held, dict) else {}), **named}


def from_row(row: Any, key: str, columns: dict[str, str]) -> Record | str:
    """The record of a row."""
    text = row.get(columns.get("text", "text")) if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        return "no text in the column that should hold it"
    answer, name = row.get(columns.get("answer", "answer")), row.get(columns.get("key", "key"))
    question = row.get(columns.get("question", "question"))
    words = row.get(columns.get("keywords", "keywords")) or []
    labels = _labels(row, columns)
    if not all(isinstance(value, int | str) for value in labels.values()):
        return "a label that is neither a whole number nor a word"
    return Record(
        "",
        key if name in (None, "") else str(name),
        "qa",
        [
            Turn("client", text.strip()),
            *([Turn("counsellor", answer.strip())] if isinstance(answer, str) and answer.strip() else []),
        ],
        keywords=[str(word) for word in words] if isinstance(words, list) else str(words).split(","),
        question=question if isinstance(question, str) else None,
        labels=labels or None,
    )
