"""Minimise: student scenes only, with enough counsellor text, cropped to the most recent turns."""

import csv
import functools
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgauge import student_cases
from mindgauge.accounts import Account, totals
from mindgauge.errors import UserError
from mindgauge.files import atomic_path, write_json, write_text
from mindgauge.parallel import over_batches
from mindgauge.progress import Progress
from mindgauge.records import Record, Turn, from_line, to_line, write_lines
from mindgauge.students import Verdict, judge, themes

NO_STUDENT = "not a student speaking of themselves"
# The audit sheet: so many records a source, from below, around and above the threshold alike.
AUDITED, EXCERPT, AROUND = 20, 240, 2.0


def crop(turns: list[Turn], max_turns: int, max_chars: int) -> list[Turn]:
    """The most recent turns, at most `max_turns` and `max_chars` characters, cut at turn boundaries; the last turn is
    always kept, shortened at its beginning if it alone is too long."""
    kept: list[Turn] = []
    chars = 0
    for turn in reversed(turns[-max_turns:]):
        if kept and chars + len(turn.text) > max_chars:
            break
        kept.append(Turn(turn.role, turn.text[-max_chars:]))
        chars += len(turn.text)
    return kept[::-1]


def counsellor_chars(record: Record, rule: str) -> int:
    """What the length rule is measured on. Dialogues: `total` | `longest` | `each` (the shortest of the turns). Questions:
    the longest answer, since each answer stands for itself."""
    lengths = [len(turn.text) for turn in record.turns if turn.role == "counsellor"] or [0]
    if record.kind == "qa" or rule == "longest":
        return max(lengths)
    return sum(lengths) if rule == "total" else min(lengths)


def minimised(
    record: Record,
    verdict: Verdict,
    *,
    threshold: float,
    min_chars: int,
    length_rule: str,
    max_turns: int,
    max_chars: int,
) -> str:
    """Crops the record; returns why it is dropped, or nothing. The student was looked for in the whole record."""
    if verdict.score < threshold:
        return NO_STUDENT
    if counsellor_chars(record, length_rule) < min_chars:
        return f"counsellor text under {min_chars} characters"
    if record.kind == "dialogue":
        record.turns = crop(record.turns, max_turns, max_chars)
        return "" if any(turn.role == "client" for turn in record.turns) else "no client turn is left after cropping"
    asked, answers = record.turns[0], [turn for turn in record.turns if turn.role == "counsellor"]
    best = max(answers, key=lambda turn: len(turn.text))
    room = max(max_chars - len(best.text), max_chars // 2)
    record.turns = [
        Turn("client", asked.text[-room:]),
        Turn(best.role, best.text[: max_chars - min(room, len(asked.text))]),
    ]
    return ""


@dataclass(slots=True)
class Minimised:
    """What became of one record: its line, or why it was dropped; and what is counted and audited of it."""

    source: str
    id: str
    line: bytes = b""
    gold: bool = False
    reason: str = ""
    turns: int = 0
    chars: int = 0
    themes: tuple[str, ...] = ()
    score: float = 0.0
    evidence: tuple[str, ...] = ()
    excerpt: str = ""
    asked: bytes = b""


def minimise_lines(lines: list[bytes], rules: dict[str, Any]) -> list[Minimised]:
    """The records of lines of JSONL, minimised."""
    results = []
    for line in lines:
        record = from_line(line, "unified.jsonl")
        found = Minimised(record.source, str(record.id))
        results.append(found)
        if record.role == "gold":
            found.gold, found.line, found.asked = True, line, asked(record)
            continue
        verdict = judge(record)
        found.score, found.evidence = verdict.score, verdict.evidence
        found.excerpt = record.words("client")[:EXCERPT].replace("\n", " / ")
        found.reason = minimised(record, verdict, **rules)
        if not found.reason:
            record.themes, record.evidence = themes(record), list(verdict.evidence)
            found.themes, found.line, found.asked = tuple(record.themes), to_line(record), asked(record)
            found.turns, found.chars = len(record.turns), sum(len(turn.text) for turn in record.turns)
    return results


def asked(record: Record) -> bytes:
    """The hash of what a labeller is asked about a record: its id and the client's words."""
    return hashlib.sha256(f"{record.id} {record.words('client')}".encode()).digest()


class Buckets:
    """The content of the records by the first two digits of their ids, so that an added record changes one bucket only.

    A bucket's hash is the sum of its records' hashes modulo 2^256: their order does not matter, and none need be held (a multiset
    hash; Bellare and Micciancio 1997, AdHash)."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = {}

    def add(self, found: Minimised) -> None:
        """Counts a record in."""
        bucket = found.id[:2]
        self.sums[bucket] = (self.sums.get(bucket, 0) + int.from_bytes(found.asked, "big")) % (1 << 256)

    def to_dict(self) -> dict[str, str]:
        """bucket -> 64 hex digits; buckets without a record are left out."""
        return {bucket: f"{total:064x}" for bucket, total in sorted(self.sums.items())}


class Audit:
    """A sample to be checked by hand, by source and by how far a score is from the threshold; the same records every time."""

    HEADING = ("id", "source", "taken", "score", "evidence", "client", "a student? (y/n)", "remark")

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.held: dict[tuple[str, str], list[tuple[str, Minimised]]] = {}

    def look(self, found: Minimised) -> None:
        """Keeps the record if it is among the first of its stratum, in the order of a hash of its id."""
        distance = found.score - self.threshold
        stratum = (found.source, "near" if abs(distance) < AROUND else "above" if distance > 0 else "below")
        place = hashlib.sha256(f"audit {found.id}".encode()).hexdigest()
        held = self.held.setdefault(stratum, [])
        if len(held) < AUDITED or place < held[-1][0]:
            held.append((place, found))
            held.sort(key=lambda pair: pair[0])
            del held[AUDITED:]

    def text(self) -> str:
        """The sheet as CSV, with a byte order mark for spreadsheets."""
        sheet = io.StringIO()
        table = csv.writer(sheet)
        table.writerow(self.HEADING)
        for _, held in sorted(self.held.items()):
            for _, found in held:
                taken = "yes" if found.score >= self.threshold else "no"
                table.writerow(
                    [found.id, found.source, taken, found.score, "; ".join(found.evidence), found.excerpt, "", ""]
                )
        return "\ufeff" + sheet.getvalue()


def minimise(entry: Path, out: Path, threads: int = 1, **rules: Any) -> dict[str, Any]:
    """Writes unified_min.jsonl (with themes and the evidence for a student), gold.jsonl (gold records, unfiltered),
    student_audit.csv (a sample to be checked by hand; it holds text) and stats_min.json; returns how many `records` there are to
    train on, and the hashes of the `buckets` to label, gold among them. Raises UserError if none is left."""
    accounts: dict[str, Account] = {}
    themed: dict[str, Counter[str]] = defaultdict(Counter)
    audit, buckets = Audit(rules["threshold"]), Buckets()
    gold = 0

    def lines() -> Iterator[bytes]:
        with (entry / "unified.jsonl").open("rb") as held:
            yield from held

    with atomic_path(out / "gold.jsonl") as aside, aside.open("wb") as gold_lines:

        def kept() -> Iterator[bytes]:
            nonlocal gold
            work = functools.partial(minimise_lines, rules=rules)
            for found in Progress(over_batches(work, lines(), threads), what="records"):
                if found.line:
                    buckets.add(found)
                if found.gold:
                    gold += 1
                    gold_lines.write(found.line)
                    continue
                account = accounts.setdefault(found.source, Account())
                audit.look(found)
                if found.reason:
                    account.drop(found.reason)
                    continue
                account.keep(found.turns, found.chars)
                themed[found.source].update(found.themes)
                yield found.line

        count = write_lines(out / "unified_min.jsonl", kept())
    write_text(out / "student_audit.csv", audit.text())
    write_json(
        out / "stats_min.json",
        {
            **totals(accounts),
            "gold": gold,
            "themes": {source: dict(counts) for source, counts in themed.items()},
            "student_test": student_cases.measure(rules["threshold"]),
        },
    )
    if not count:
        dropped = Counter(reason for account in accounts.values() for reason in account.dropped.elements())
        raise UserError(
            f"no record is left to train on; of {sum(dropped.values())} dropped most were: {dropped.most_common(1)[0][0] if dropped else 'gold'}",
            where="minimise",
            instead="sources in which students speak, a lower data.student_threshold, or a lower data.min_counsellor_chars",
        )
    return {"records": count, "buckets": buckets.to_dict()}
