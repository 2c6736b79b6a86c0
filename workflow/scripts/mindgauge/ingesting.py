"""Ingest: one source through its reader; every record is kept or quarantined with a reason."""

import json
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from mindgauge import readers
from mindgauge.errors import UserError
from mindgauge.files import atomic_path, write_json
from mindgauge.labels import Scheme
from mindgauge.progress import Progress, tell
from mindgauge.readers.text import Seen
from mindgauge.records import Broken, Record, identifier, write_records
from mindgauge.withdrawals import WITHDRAWN

TOLD = 10


def out_of_scheme(labels: dict[str, Any], scheme: Scheme, names: dict[str, Any]) -> str:
    """Which columns hold a label the scheme does not know, or a value it does not, and what is allowed (never the value: it may
    be anything somebody typed); empty if there is none."""
    wrong = []
    for name, value in labels.items():
        if name not in scheme.names:
            wrong.append(f"column {names.get('labels', 'labels')}: a label that is not in the scheme")
        # type(), since True == 1 and 1.0 == 1
        elif not any(type(value) is type(allowed) and value == allowed for allowed in scheme[name].values):
            allowed = ", ".join(map(str, scheme[name].values))
            wrong.append(f"column {names.get(name, name)}: not one of {allowed}")
    return "; ".join(dict.fromkeys(wrong))


def ingest(
    raw: Path,
    out: Path,
    source: str,
    reader: str,
    role: str,
    names: dict[str, Any],
    labels: dict[str, Any],
    licence: str = "unknown",
    withdrawn: Set[str] = frozenset(),
) -> None:
    """Writes records.jsonl, quarantine.jsonl ({file, line, reason}) and stats.json (read = kept + quarantined; reasons,
    files, encodings, line ends, role names, keys that stand twice). `names` is what the config says of the source's own names
    (Source.names). The faults of gold are told, too, since somebody can put them right. Records that are `withdrawn`, by
    the id of their words as they stand here or by the one they name, are quarantined. Raises UserError if no record is left."""
    scheme = Scheme.from_dict(labels)
    if reader == "table" and role == "gold":  # a sheet of gold has its labels under their own names
        names = {name: name for name in scheme.names} | names
    reasons: Counter[str] = Counter()
    first: dict[str, str] = {}
    seen = Seen()
    keys: set[int] = set()
    repeated = 0

    with atomic_path(out / "quarantine.jsonl") as aside, aside.open("w", encoding="utf-8") as quarantine:

        def refused(found: Broken) -> None:
            reasons[found.reason] += 1
            first.setdefault(found.reason, f"{found.file}, line or row {found.line}")
            quarantine.write(json.dumps(found.to_dict(), ensure_ascii=False) + "\n")

        def kept() -> Iterator[Record]:
            nonlocal repeated
            for found in Progress(readers.read(reader, raw, source, role, names, licence, seen), what="records"):
                if isinstance(found, Broken):
                    refused(found)
                elif withdrawn and (found.id in withdrawn or identifier(found) in withdrawn):
                    refused(Broken(seen.file, seen.line, WITHDRAWN))
                elif role == "gold" and not found.labels:
                    refused(Broken(seen.file, seen.line, "a gold record without labels"))
                elif found.labels and (wrong := out_of_scheme(found.labels, scheme, names)):
                    refused(Broken(seen.file, seen.line, wrong))
                else:
                    repeated += hash(found.key) in keys
                    keys.add(hash(found.key))
                    yield found

        count = write_records(out / "records.jsonl", kept())
    if role == "gold":
        for reason, number in reasons.most_common(TOLD):
            tell(f"{number} x {reason} (first: {first[reason]})")
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
