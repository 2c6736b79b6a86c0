"""Labellers: one module a backend. A backend turns what a client says into labels and names its evidence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge.answers import canonical
from mindgauge.files import write_jsonl
from mindgauge.labels import Scheme
from mindgauge.progress import Progress
from mindgauge.records import read_records


def shard_of(identifier: str, shards: int) -> int:
    """The shard of a record: it follows from its id alone."""
    return int(identifier, 16) % shards


def label(
    inputs: dict[str, Path],
    out: Path,
    work: Path,
    backend: str,
    shard: int,
    shards: int,
    labels: dict[str, Any],
    **options: Any,
) -> None:
    """Writes labels.jsonl ({id, labels, evidence}) for the records of one shard."""
    scheme = Scheme.from_dict(labels)
    records = [
        record
        for record in read_records(inputs["minimise"] / "unified_min.jsonl")
        if shard_of(str(record.id), shards) == shard
    ]
    found: Iterator[dict[str, Any]]
    # Imported here, since each backend stands on other packages.
    if backend == "keywords":
        from mindgauge.labellers import keyword_rules

        found = keyword_rules.label(records, scheme)
    elif backend == "llama-cpp":
        from mindgauge.labellers import llama_cpp

        found = llama_cpp.label(records, scheme, inputs["model"], work, **options)
    else:
        from mindgauge.labellers import label_file

        found = label_file.label(records, scheme, inputs["file"])

    def checked() -> Iterator[dict[str, Any]]:
        for row in Progress(found, total=len(records), what="records"):
            canonical(scheme, row["labels"])  # raises if a label is out of the scheme
            yield row

    write_jsonl(out / "labels.jsonl", checked())
