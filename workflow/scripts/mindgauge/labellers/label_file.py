"""The backend `file`: labels you already have, joined by record id."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.files import read_jsonl
from mindgauge.labels import Scheme
from mindgauge.records import Record


def label(records: Iterable[Record], scheme: Scheme, file: Path) -> Iterator[dict[str, Any]]:
    """Looks each record up in a JSONL of {id, and the labels, directly or under `labels`}. Raises UserError if a record
    has no labels or two different ones."""
    held: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(read_jsonl(file), 1):
        labels = (
            row["labels"]
            if isinstance(row.get("labels"), dict)
            else {name: row[name] for name in scheme.names if name in row}
        )
        if held.setdefault(str(row.get("id")), labels) != labels:
            raise UserError("two different labels for one id", where=f"{file}:{number}", instead="one row a record")
    for record in records:
        if record.id not in held:
            raise UserError(
                f"no labels for the record {record.id}",
                where=str(file),
                instead="a row for every id of results/data/unified_min.jsonl",
            )
        yield {"id": record.id, "labels": held[record.id], "evidence": {}}
