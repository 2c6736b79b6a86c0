"""Human labels that name a record of ours by its id: the audit sheet that comes back. Such a row takes the record's words, so
that a sheet may leave them out, and what a spreadsheet did to them does no harm."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mindgauge.records import Broken, Record


def named_by(rows: Iterable[Record], unified: Iterable[Record]) -> dict[str, Record]:
    """id -> record, of those records in `unified` that a row names. `unified` may be long: it is passed once."""
    wanted = {row.id for row in rows if row.id is not None}
    return {str(record.id): record for record in unified if record.id in wanted}


def _fault(row: Record, reason: str) -> Broken:
    """The key of a row that names a record is `<file>-<row>` (readers/table.py)."""
    file, _, number = row.key.rpartition("-")
    return Broken(file, int(number), reason) if number.isdecimal() else Broken(row.key, 0, reason)


def join_gold(
    rows: Iterable[Record], known: Mapping[str, Record], names: Mapping[str, Any] | None = None
) -> Iterator[Record | Broken]:
    """The rows of a gold source in their order. `known` are the unified records by id, `names` the source's columns.

    A row that names a known record becomes that record with role `gold`, its own key and its human labels; source and licence
    stay those of the words, since on them hangs whether the text may be passed on. It keeps the record's id: **who trains must
    leave these ids out**. A row that names no known record stands for itself if it has words; else it is a fault, as is a
    second row for the same record. Faults name row and column, never words.
    """
    columns = {"id": "id", "text": "text", **(names or {})}
    seen: set[str] = set()
    for row in rows:
        if row.id is None:
            yield row
            continue
        if row.id in seen:
            yield _fault(row, f"column {columns['id']}: an earlier row has the same id")
            continue
        seen.add(row.id)
        if row.id in known:
            yield replace(known[row.id], key=row.key, role="gold", labels=row.labels)
        elif row.words("client").strip():
            yield replace(row, id=None)  # its id comes from its own words
        else:
            yield _fault(row, f"column {columns['id']}: no record has this id, and column {columns['text']} is empty")
