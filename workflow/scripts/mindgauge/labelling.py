"""The answers of all labellers and shards become one set of labels: every record has a decision with its confidence, or is told."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mindgauge import agreement, labeller_report, repro, review
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json, write_jsonl, write_text
from mindgauge.labellers.common import Answer
from mindgauge.labels import Scheme
from mindgauge.records import Record, read_records
from mindgauge.voting import Decision, Vote, decide

AUDIT_SEED = 20261124


def answers_of(shards: Iterable[Path], wanted: set[str]) -> dict[str, Answer]:
    """The answers in a voter's shards by record id. Raises UserError unless every record has exactly one."""
    found: dict[str, Answer] = {}
    for shard in shards:
        for row in read_jsonl(shard / "labels.jsonl"):
            if row["id"] in found:
                raise UserError(
                    f"the record {row['id']} is labelled twice",
                    where=str(shard),
                    instead="this is a defect of a labeller; please report it",
                )
            found[row["id"]] = Answer.from_dict(row)
    if missing := sorted(wanted - found.keys()):
        raise UserError(
            f"{len(missing)} records have no answer, the first is {missing[0]}",
            where="labels",
            instead="this is a defect of a labeller; please report it",
        )
    return found


def row_of(record: Record, labeller: str, decision: Decision, answers: dict[str, Answer]) -> dict[str, Any]:
    """A row of dataset.jsonl."""
    evidence = {name: of.evidence for name, of in answers.items() if of.evidence}
    return {
        "id": record.id,
        "labels": decision.labels,
        "labeller": labeller,
        "confidence": round(decision.least, 6),
        "confidences": {name: round(value, 6) for name, value in decision.confidence.items()},
        "evidence": next(iter(evidence.values()), {}) if len(answers) == 1 else evidence,
    }


def chances(audit: review.Audit, scheme: Scheme) -> Callable[[str, Decision | None], float]:
    """With which chance a record of a source with some labels is drawn for the audit sheet. Student records that came back as gold
    were drawn so; all others were taken."""
    held = {(of["stratum"], of["source"]): of["probability"] for of in audit.weights.values()}
    alarm = scheme.alarms[0].name if scheme.alarms else None

    def chance(source: str, decision: Decision | None) -> float:
        stratum = str(decision.labels[alarm]) if alarm and decision else "all"
        return float(held.get((stratum, source), 1.0))

    return chance


def _told(voter: dict[str, Any]) -> dict[str, Any]:
    """A voter as stats.json names it: its instruction by the hash that result records know it by."""
    asked = voter["instruction"]
    named = hashlib.sha256(asked.encode()).hexdigest() if asked else None
    return {**{name: of for name, of in voter.items() if name != "instruction"}, "prompt_sha256": named}


def merge(
    entry: Path,
    shards: dict[str, list[Path]],
    out: Path,
    *,
    voters: dict[str, dict[str, Any]],
    vote: str,
    min_confidence: float,
    audit_per_class: int,
    labels: dict[str, Any],
) -> None:
    """Writes dataset.jsonl (a row of each student record with a valid label, in their order), needs_review.csv (records whose
    label is doubtful, or that have none), audit.csv and audit.xlsx (a sheet for human labels) with audit_weights.json, stats.json,
    gold_labels.jsonl (its labels of the gold rows), gold.json (held against the humans') and repro_package/.

    Raises UserError unless every voter answered every record once, and if no record has a label.
    """
    scheme = Scheme.from_dict(labels)
    labeller = next(iter(voters.values()))["backend"] if len(voters) == 1 else f"{len(voters)} voters"
    records = list(read_records(entry / "unified_min.jsonl"))
    gold = list(read_records(entry / "gold.jsonl"))
    wanted = {str(record.id) for record in [*records, *gold]}
    answers = {name: answers_of(shards[name], wanted) for name in voters}
    decided = {
        name: decide(scheme, [Vote(of[name].labels, of[name].probabilities) for of in answers.values()], vote)
        for name in sorted(wanted)
    }
    faults = {name: sorted({of[name].fault for of in answers.values() if of[name].fault}) for name in wanted}

    rows = []
    counts: dict[str, Counter[str]] = {field.name: Counter() for field in scheme.fields}
    by_source: dict[str, dict[str, Counter[str]]] = defaultdict(
        lambda: {field.name: Counter() for field in scheme.fields}
    )
    for record in records:
        name = str(record.id)
        if (decision := decided[name]) is None:
            continue
        rows.append(row_of(record, labeller, decision, {voter: of[name] for voter, of in answers.items()}))
        for label, value in decision.labels.items():
            counts[label][str(value)] += 1
            by_source[record.source][label][str(value)] += 1
    if not rows:
        raise UserError(
            f"none of {len(records)} records has a label; most often: "
            + (Counter(fault for of in faults.values() for fault in of).most_common(1) or [("no record", 0)])[0][0],
            where="label",
            instead="a labeller that answers: see results/logs/label",
        )
    write_jsonl(out / "dataset.jsonl", rows)
    doubts = review.needs_review(
        ((str(record.id), record.source, decided[str(record.id)]) for record in records), scheme, min_confidence
    )
    write_text(out / "needs_review.csv", review.review_csv(doubts, scheme))
    chosen = {row["id"]: row["labels"] for row in rows}
    audit = review.audit_sheet(
        [record for record in records if record.id in chosen], chosen, scheme, audit_per_class, AUDIT_SEED
    )
    write_text(out / "audit.csv", audit.csv)
    (out / "audit.xlsx").write_bytes(audit.xlsx)
    write_json(out / "audit_weights.json", audit.weights)
    write_jsonl(
        out / "gold_labels.jsonl",
        ({"id": str(of.id), "labels": found.labels} for of in gold if (found := decided[str(of.id)])),
    )
    drawn = chances(audit, scheme)
    compared = []
    for record in gold:
        decision = decided[str(record.id)]
        chance = drawn(record.source, decision) if record.id in chosen else 1.0
        compared.append(
            labeller_report.Compared(record.source, decision.labels if decision else None, record.labels or {}, chance)
        )
    write_json(out / "gold.json", labeller_report.report(scheme, compared))
    rated = [(record.source, [of[str(record.id)].labels for of in answers.values()]) for record in records]
    write_json(
        out / "stats.json",
        {
            "records": len(records),
            "labelled": len(rows),
            "without_a_label": len(records) - len(rows),
            "faults": dict(Counter(fault for record in records for fault in faults[str(record.id)])),
            "labeller": labeller,
            "voters": {name: _told(of) for name, of in voters.items()},
            "shards": sum(map(len, shards.values())),
            "doubtful": len(doubts) - (len(records) - len(rows)),
            "min_confidence": min_confidence,
            "fields": {name: dict(of) for name, of in counts.items()},
            "by_source": {
                source: {name: dict(of) for name, of in fields.items()} for source, fields in by_source.items()
            },
            "agreement": agreement.agreement(scheme, rated),
        },
    )
    repro.write(
        out / "repro_package",
        voters,
        shards,
        (
            {"id": name, "voter": voter, "labels": of[name].labels}
            for voter, of in answers.items()
            for name in sorted(of)
        ),
        labels,
    )
