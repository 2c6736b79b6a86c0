"""Ingest: one source through its reader; every record is kept or quarantined with a reason."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge import readers
from mindgauge.errors import UserError
from mindgauge.files import atomic_path, write_json
from mindgauge.labels import Scheme
from mindgauge.progress import Progress
from mindgauge.readers.text import Seen
from mindgauge.records import Broken, Record, write_records


def out_of_scheme(labels: dict[str, Any], scheme: Scheme) -> str:
    """The name of the first label the scheme does not know, or whose value it does not; empty if there is none."""
    return next(
        (name for name, value in labels.items() if name not in scheme.names or value not in scheme[name].values), ""
    )


def ingest(
    raw: Path,
    out: Path,
    source: str,
    reader: str,
    role: str,
    columns: dict[str, str],
    labels: dict[str, Any],
    licence: str = "unknown",
) -> None:
    """Writes records.jsonl, quarantine.jsonl ({file, line, reason}) and stats.json (read = kept + quarantined; reasons,
    files, encodings, line ends, role names, keys that stand twice). Raises UserError if no record is left."""
    scheme = Scheme.from_dict(labels)
    reasons: Counter[str] = Counter()
    seen = Seen()
    keys: set[int] = set()
    repeated = 0

    with atomic_path(out / "quarantine.jsonl") as aside, aside.open("w", encoding="utf-8") as quarantine:

        def refused(found: Broken) -> None:
            reasons[found.reason] += 1
            quarantine.write(json.dumps(found.to_dict(), ensure_ascii=False) + "\n")

        def kept() -> Iterator[Record]:
            nonlocal repeated
            for found in Progress(readers.read(reader, raw, source, role, columns, licence, seen), what="records"):
                if isinstance(found, Broken):
                    refused(found)
                elif role == "gold" and not found.labels:
                    refused(Broken(found.key, 0, "a gold record without labels"))
                elif found.labels and (bad := out_of_scheme(found.labels, scheme)):
                    name = bad if bad in scheme.names else "a further one"
                    refused(Broken(found.key, 0, f"the label {name} is not in the scheme, or its value is not"))
                else:
                    repeated += hash(found.key) in keys
                    keys.add(hash(found.key))
                    yield found

        count = write_records(out / "records.jsonl", kept())
    if not count:
        raise UserError(
            f"no record of {source} could be read ({sum(reasons.values())} quarantined; most often: "
            f"{reasons.most_common(1)[0][0] if reasons else 'no file of this format'})",
            where=str(raw),
            instead=f"files of the format: {readers.READERS[reader].FORMAT}",
        )
    write_json(
        out / "stats.json",
        {
            "source": source,
            "read": count + sum(reasons.values()),
            "kept": count,
            "quarantined": sum(reasons.values()),
            "by_reason": dict(reasons),
            "files": seen.files,
            "encodings": dict(seen.encodings),
            "line_ends": dict(seen.line_ends),
            "files_left_out": dict(seen.left_out),
            "roles": dict(seen.roles),
            "nul_bytes": seen.nul_bytes,
            "repeated_keys": repeated,
        },
    )
