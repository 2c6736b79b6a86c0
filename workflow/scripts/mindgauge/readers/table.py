"""Generic rows: JSONL or CSV with a column map.

`columns` says which column holds `text` (the client's words), and if there are any `answer`, `key`, `question`, `keywords`
and the labels, by the names of the scheme. Columns of the label's own name are taken without being listed.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge.files import files_below
from mindgauge.readers.text import encoding_of, json_items
from mindgauge.records import Broken, Record, Turn

FORMAT = "rows (.jsonl or .csv) with a column `text`, or another one named by `columns: {text: …}`"
OWN = ("text", "answer", "key", "question", "keywords")


def _rows(path: Path) -> Iterator[tuple[str, int, Any]]:
    for file in files_below(path) if path.is_dir() else [path]:
        try:
            if file.suffix == ".csv":
                with file.open(encoding=encoding_of(file), newline="") as lines:
                    for number, row in enumerate(csv.DictReader(lines), 2):
                        yield file.name, number, row
            elif file.suffix in (".jsonl", ".json"):
                for line, item in json_items(file):
                    yield file.name, line, item
        except ValueError as error:
            yield file.name, error.args[0] if type(error) is ValueError else 1, None


def _value(text: Any) -> Any:
    """A label from a cell: a whole number where it is one."""
    return int(text) if isinstance(text, str) and text.strip().lstrip("-").isdigit() else text


def read(path: Path, columns: dict[str, str]) -> Iterator[Record | Broken]:
    """One record a row. `columns["labels"]`, if given, names a column with an object of labels."""
    for file, line, row in _rows(path):
        text = row.get(columns.get("text", "text")) if isinstance(row, dict) else None
        if not isinstance(text, str) or not text.strip():
            yield Broken(file, line, "no text in the column that should hold it")
            continue
        answer = row.get(columns.get("answer", "answer"))
        turns = [
            Turn("client", text.strip()),
            *([Turn("counsellor", answer.strip())] if isinstance(answer, str) and answer.strip() else []),
        ]
        held = row.get(columns.get("labels", "labels"))
        labels = dict(held) if isinstance(held, dict) else {}
        labels |= {
            name: _value(row[column])
            for name, column in columns.items()
            if name not in (*OWN, "labels") and row.get(column) not in (None, "")
        }
        words = row.get(columns.get("keywords", "keywords")) or []
        keywords = words if isinstance(words, list) else str(words).split(",")
        yield Record(
            "",
            str(row.get(columns.get("key", "key"), line)),
            "qa",
            turns,
            keywords=keywords,
            question=row.get(columns.get("question", "question")),
            labels=labels or None,
        )
