"""What people are asked to look at: the records in doubt, and an audit sheet on which they label a sample blindly."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mindgauge.labels import Scheme, Value
from mindgauge.records import Record
from mindgauge.spreadsheets import csv_text, sheet_id, xlsx_bytes
from mindgauge.voting import Decision

NO_ANSWER = "no valid answer"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A record that needs review. `decision` is None if no voter gave a valid answer."""

    id: str
    source: str
    decision: Decision | None
    reason: str


def needs_review(decided: Iterable[tuple[str, str, Decision | None]], scheme: Scheme, threshold: float) -> list[Doubt]:
    """Of (id, source, decision) those without an answer and those in which a label's confidence is under the threshold, the most
    doubtful first; among equals those that raise an alarm, then by id."""
    found = []
    for identifier, source, decision in decided:
        if decision is None:
            found.append(Doubt(identifier, source, None, NO_ANSWER))
        elif decision.least < threshold:
            low = [name for name in scheme.names if decision.confidence[name] < threshold]
            found.append(Doubt(identifier, source, decision, f"{', '.join(low)} under {threshold:g}"))

    def place(doubt: Doubt) -> tuple[float, bool, str]:
        if doubt.decision is None:
            return -1.0, False, doubt.id
        labels = doubt.decision.labels
        return doubt.decision.least, all(labels[field.name] == field.safe for field in scheme.alarms), doubt.id

    return sorted(found, key=place)


def review_csv(doubts: Iterable[Doubt], scheme: Scheme) -> str:
    """The records in doubt as CSV (with a byte order mark): id, source, least confidence, of each label the value chosen and its
    confidence, reason. No text of any record."""
    heading = ["id", "source", "least"]
    for name in scheme.names:
        heading += [name, f"{name}_confidence"]
    rows: list[list[Any]] = []
    for doubt in doubts:
        row: list[Any] = [doubt.id, doubt.source]
        if doubt.decision is None:
            row += ["", *[""] * (2 * len(scheme.names))]
        else:
            row.append(doubt.decision.least)
            for name in scheme.names:
                row += [doubt.decision.labels[name], doubt.decision.confidence[name]]
        rows.append([*row, doubt.reason])
    return csv_text([*heading, "reason"], rows)


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit sheet in two forms (both hold text), and its weights, which never go to those who label:
    id -> {stratum, source, drawn, of, probability}."""

    csv: str
    xlsx: bytes
    weights: dict[str, dict[str, Any]]


def _rank(what: str, seed: int, identifier: str) -> str:
    """A place that is random, and the same every time."""
    return hashlib.sha256(f"{what} {seed} {identifier}".encode()).hexdigest()


def seats(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """How many of each source are drawn when `total` are: in proportion (by the method of Sainte-Laguë 1910), no more than there
    are, and at least one of each while that goes, since what can never be drawn cannot be estimated."""
    given = dict.fromkeys(sizes, 0)
    for _ in range(min(total, sum(sizes.values()))):
        open_ = [name for name in sizes if given[name] < sizes[name]]
        best = min(open_, key=lambda name: (given[name] > 0, -sizes[name] / (2 * given[name] + 1), name))
        given[best] += 1
    return given


def audit_sheet(
    records: Iterable[Record], labels: Mapping[str, Mapping[str, Value]], scheme: Scheme, per_stratum: int, seed: int
) -> Audit:
    """A stratified sample to be labelled by people who do not see the machine's labels.

    A stratum is a value of the scheme's first alarm label as the machine gave it (`labels`: id -> labels; without an alarm label
    all is one stratum). `per_stratum` records are drawn from each, so that the rare, alarming ones are over-sampled; within it
    the sources stand in proportion, and within a source every record has the same chance. The rows stand in the order of a hash,
    so that no stratum can be read off. Columns: id, text (the client's words), one empty column a label, remark.

    The sample is not the corpus: whoever estimates a figure of the corpus weighs a row by 1 / `probability` (D. G. Horvitz and
    D. J. Thompson 1952; labeller_report does).
    """
    alarm = scheme.alarms[0].name if scheme.alarms else None
    strata: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        strata[str(labels[str(record.id)][alarm]) if alarm else "all"][record.source].append(record)
    drawn: list[Record] = []
    weights: dict[str, dict[str, Any]] = {}
    for stratum, sources in sorted(strata.items()):
        for source, count in seats({name: len(of) for name, of in sorted(sources.items())}, per_stratum).items():
            held = sorted(sources[source], key=lambda record: _rank("draw", seed, str(record.id)))
            for record in held[:count]:
                drawn.append(record)
                weights[str(record.id)] = {
                    "stratum": stratum,
                    "source": source,
                    "drawn": count,
                    "of": len(held),
                    "probability": count / len(held),
                }
    drawn.sort(key=lambda record: _rank("order", seed, str(record.id)))
    heading = ["id", "text", *scheme.names, "remark"]
    empty = [""] * (len(scheme.names) + 1)
    rows = [[sheet_id(str(record.id)), record.words("client"), *empty] for record in drawn]
    allowed = {f.name: [(value, f.anchors.get(value, "")) for value in f.values] for f in scheme.fields}
    return Audit(csv_text(heading, rows), xlsx_bytes(heading, rows, allowed, "text"), weights)
