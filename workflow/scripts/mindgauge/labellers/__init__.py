"""Labellers: one module a backend. A backend turns what a client says into labels; that each record is asked once and answered
once, whatever happens meanwhile, is seen to here."""

import importlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge.answers import canonical
from mindgauge.backends import BACKENDS
from mindgauge.errors import UserError
from mindgauge.files import write_json, write_jsonl
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labellers.journal import Journal
from mindgauge.labels import Scheme
from mindgauge.progress import Progress, tell
from mindgauge.records import read_records

EMPTY = "an empty record"


def asked_of(entry: Path, buckets: list[str]) -> Iterator[Asked]:
    """What is to be labelled: the client's words of the student and the gold records in some buckets (the first two digits of
    their ids). A student record that came back as gold is asked once."""
    wanted, seen = frozenset(buckets), set()
    for name in ("unified_min.jsonl", "gold.jsonl"):
        for record in read_records(entry / name):
            if str(record.id)[:2] in wanted and record.id not in seen:
                seen.add(record.id)
                yield Asked(str(record.id), record.words("client"))


def label(
    inputs: dict[str, Path],
    out: Path,
    answers: Path | None,
    *,
    backend: str,
    labels: dict[str, Any],
    buckets: list[str],
    options: dict[str, Any],
    pace: dict[str, Any],
) -> None:
    """Writes labels.jsonl (an Answer a line, in the order of the ids) for the records of some buckets, and log.json (how many
    were asked, were known, failed and why). Answers are kept in `answers` as they come, and none there is asked for again.

    Raises UserError unless every record has exactly one answer.
    """
    scheme = Scheme.from_dict(labels)
    # Each backend stands on other packages.
    module: Any = importlib.import_module(BACKENDS[backend].module)
    journal = Journal(answers)
    found: dict[str, Answer] = {}
    known = 0
    total = sum(1 for _ in asked_of(inputs["minimise"], buckets))

    def unknown() -> Iterator[Asked]:
        nonlocal known
        for one in asked_of(inputs["minimise"], buckets):
            if held := journal.get(one):
                known += 1
                keep(held)
            elif not one.text.strip():
                keep(Answer(one.id, None, None, fault=EMPTY))
            else:
                waiting[one.id] = one
                yield one

    def keep(answer: Answer) -> None:
        if answer.labels is not None:
            canonical(scheme, answer.labels)  # raises if a label is out of the scheme
        if answer.id in found:
            raise UserError(
                f"the record {answer.id} is answered twice",
                where=backend,
                instead="this is a defect of the labeller; please report it",
            )
        found[answer.id] = answer

    waiting: dict[str, Asked] = {}
    if "labeller" in inputs:
        options = {**options, "path": inputs["labeller"]}
    start = time.monotonic()
    with journal:
        answered = module.label(unknown(), scheme, **options, **{k: v for k, v in pace.items() if k in module.PACE})
        for answer in Progress(answered, total=total, what="records"):
            journal.add(waiting.pop(answer.id), answer)
            keep(answer)
    if len(found) != total:
        raise UserError(
            f"{total - len(found)} of {total} records have no answer",
            where=backend,
            instead="this is a defect of the labeller; please report it",
        )
    write_jsonl(out / "labels.jsonl", (found[name].to_dict() for name in sorted(found)))
    faults = Counter(answer.fault for answer in found.values() if answer.labels is None)
    notes = Counter(answer.fault for answer in found.values() if answer.labels is not None and answer.fault)
    if known:
        tell(f"{known} of {total} answers were known from before")
    for fault, count in faults.most_common():
        tell(f"{count} of {total} records have no valid answer: {fault}")
    seconds = time.monotonic() - start
    write_json(
        out / "log.json",
        {
            "backend": backend,
            "records": total,
            "known": known,
            "failed": dict(faults),
            "repaired": dict(notes),
            "seconds": round(seconds, 1),
            "asked_per_second": round((total - known) / seconds, 2) if seconds else None,
        },
    )
