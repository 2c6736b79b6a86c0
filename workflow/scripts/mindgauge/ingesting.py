"""Ingest: one source through its reader; every record is kept or quarantined with a reason."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge import readers
from mindgauge.errors import UserError
from mindgauge.files import write_json, write_jsonl
from mindgauge.labels import Scheme
from mindgauge.progress import Progress
from mindgauge.records import Broken


def ingest(
    raw: Path, out: Path, source: str, reader: str, role: str, columns: dict[str, str], labels: dict[str, Any]
) -> None:
    """Writes records.jsonl, quarantine.jsonl ({file, line, reason}) and stats.json. Raises UserError if no record is left,
    or if a gold record carries a label the scheme does not know."""
    scheme = Scheme.from_dict(labels)
    reasons: Counter[str] = Counter()
    quarantined: list[dict[str, Any]] = []

    def refused(found: Broken) -> None:
        reasons[found.reason] += 1
        quarantined.append({"file": found.file, "line": found.line, "reason": found.reason})

    def kept() -> Iterator[dict[str, Any]]:
        for found in Progress(readers.read(reader, raw, source, role, columns), what="records"):
            if isinstance(found, Broken):
                refused(found)
            elif role == "gold" and not found.labels:
                refused(Broken(found.key, 0, "a gold record without labels"))
            elif found.labels and (
                bad := [
                    name
                    for name, value in found.labels.items()
                    if name not in scheme.names or value not in scheme[name].values
                ]
            ):
                refused(Broken(found.key, 0, f"the label {bad[0]} is not in the scheme, or its value is not"))
            else:
                yield found.to_dict()

    count = write_jsonl(out / "records.jsonl", kept())
    if not count:
        raise UserError(
            f"no record of {source} could be read",
            where=str(raw),
            instead=f"files of the format: {readers.READERS[reader].FORMAT}",
        )
    write_jsonl(out / "quarantine.jsonl", quarantined)
    write_json(
        out / "stats.json",
        {
            "source": source,
            "read": count + len(quarantined),
            "kept": count,
            "quarantined": len(quarantined),
            "by_reason": dict(reasons),
        },
    )
