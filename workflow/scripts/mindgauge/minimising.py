"""Minimise: student scenes only, with enough counsellor text, cropped to the most recent turns."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json, write_jsonl
from mindgauge.progress import Progress
from mindgauge.records import Record, Turn
from mindgauge.students import judge, theme


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
    """What the length rule is measured on: `total` | `longest` | `each` (the shortest of the turns)."""
    lengths = [len(turn.text) for turn in record.turns if turn.role == "counsellor"] or [0]
    return sum(lengths) if rule == "total" else max(lengths) if rule == "longest" else min(lengths)


def minimised(
    record: Record, min_counsellor_chars: int, length_rule: str, max_turns: int, max_chars: int
) -> tuple[Record | None, str]:
    """The cropped record, or None and the reason why it is dropped. The student is looked for in the whole record."""
    if not judge(record).student:
        return None, "not a student speaking of themselves"
    # Each answer to a question stands for itself, so the rule is about the longest of them (SPEC: the answer for PsyQA).
    if (
        counsellor_chars(record, "longest" if record.kind == "qa" and length_rule == "total" else length_rule)
        < min_counsellor_chars
    ):
        return None, f"counsellor text under {min_counsellor_chars} characters"
    if record.kind == "dialogue":
        record.turns = crop(record.turns, max_turns, max_chars)
        if not any(turn.role == "client" for turn in record.turns):
            return None, "no client turn is left after cropping"
    else:
        asked, answers = record.turns[0], record.turns[1:]
        best = max(answers, key=lambda turn: len(turn.text))
        room = max(1, max_chars - len(best.text))
        record.turns = [
            Turn("client", asked.text[-max(room, max_chars // 2) :]),
            Turn(best.role, best.text[:max_chars]),
        ]
    return record, ""


def minimise(entry: Path, out: Path, **rules: Any) -> int:
    """Writes unified_min.jsonl (with the theme and the evidence for a student), gold.jsonl (gold records, unfiltered) and
    stats_min.json; returns how many records there are to label. Raises UserError if none is left."""
    sources: dict[str, Any] = {}
    themes: Counter[str] = Counter()
    gold: list[dict[str, Any]] = []

    def rows() -> Iterator[dict[str, Any]]:
        for row in Progress(read_jsonl(entry / "unified.jsonl"), what="records"):
            if row["role"] == "gold":
                gold.append(row)
                continue
            stats = sources.setdefault(row["source"], {"read": 0, "kept": 0, "dropped": {}})
            stats["read"] += 1
            record = Record.from_dict(row)
            verdict = judge(record)
            kept, reason = minimised(record, **rules)
            if kept is None:
                stats["dropped"][reason] = stats["dropped"].get(reason, 0) + 1
                continue
            stats["kept"] += 1
            themes[theme(kept)] += 1
            yield {**kept.to_dict(), "theme": theme(kept), "evidence": list(verdict.evidence)}

    kept = write_jsonl(out / "unified_min.jsonl", rows())
    write_jsonl(out / "gold.jsonl", gold)
    read = sum(stats["read"] for stats in sources.values())
    write_json(
        out / "stats_min.json",
        {"read": read, "kept": kept, "gold": len(gold), "sources": sources, "themes": dict(themes)},
    )
    if not kept:
        raise UserError(
            "no record is left to train on",
            where="minimise",
            instead="sources in which students speak, or a lower data.min_counsellor_chars",
        )
    return kept
