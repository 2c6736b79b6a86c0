"""What is there of the configured sources, before any job: files, readable or not, records and faults, terms."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mindgauge import readers
from mindgauge.config import Source
from mindgauge.progress import Progress
from mindgauge.readers.text import Seen
from mindgauge.records import Record


@dataclass
class Checked:
    """What was found of one source. `wrong` says what keeps it from being used; empty if nothing does."""

    name: str
    source: Source
    files: int = 0
    records: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)
    wrong: str = ""
    instead: str = ""


def check_source(name: str, source: Source) -> Checked:
    """Reads a source once, keeping nothing."""
    found = Checked(name, source)
    path = Path(source.path)
    if not path.exists():
        found.wrong = f"{path} is not there"
        found.instead = f"put it there (data/README.md says where to get it), or take sources.{name} out of the config"
        return found
    for record in Progress(
        readers.read(source.reader, path, name, source.role, source.names, seen=found.seen), what=name
    ):
        if isinstance(record, Record):
            found.records += 1
        else:
            found.faults[record.reason] += 1
    found.files = found.seen.files
    if not found.records:
        most = found.faults.most_common(1)
        found.wrong = f"no record could be read{f' ({most[0][0]})' if most else ''}"
        found.instead = f"files of the format {source.reader!r}: {readers.READERS[source.reader].FORMAT}"
    return found


def table(checked: list[Checked]) -> str:
    """The findings as text: a line a source, below it what is wrong or could not be read."""
    heading = ("source", "reader", "role", "files", "records", "faults", "encodings", "may be passed on", "path")
    rows = [heading]
    for found in checked:
        rows.append(
            (
                found.name,
                found.source.reader,
                found.source.role,
                str(found.files),
                str(found.records),
                str(sum(found.faults.values())),
                ", ".join(f"{name} {count}" for name, count in sorted(found.seen.encodings.items())) or "–",
                "yes" if found.source.redistribute else "no",
                found.source.path,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for found in checked:
        lines += [f"{found.name}: {count} x {reason}" for reason, count in found.faults.most_common(5)]
        if left_out := sum(found.seen.left_out.values()):
            lines.append(f"{found.name}: {left_out} files of other kinds were left out")
        if found.wrong:
            lines += [f"{found.name}: {found.wrong}", f"  instead: {found.instead}"]
    return "\n".join(lines)
