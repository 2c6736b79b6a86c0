"""Unify: the records of all sources in one form, with identities replaced and content-derived ids."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge.files import read_jsonl, write_json, write_jsonl
from mindgauge.identities import replace
from mindgauge.progress import Progress
from mindgauge.readers.roles import PREFIX
from mindgauge.records import Record, Turn

ID_DIGITS = 16
# A stage direction at the beginning or the end of a turn: （沉默）, (叹气).
DIRECTION = re.compile(r"^\s*[（(][^）)\n]{1,20}[）)]\s*|\s*[（(][^）)\n]{1,20}[）)]\s*$")
FILLER = re.compile(r"^(?:嗯+|好的?|是的?|哦+|谢谢|对|你好|您好)*[。！？!?.，,…\s]*$")
# What the site's helpers write of themselves and the asker (PsyQA).
BOILERPLATE = re.compile(r"^(?:题主|楼主)?(?:你好|您好)[，,。！!]?|(?:我是|来自)?壹心理[^，。！\n]{0,12}[，。！]?")


def clean(text: str) -> str:
    """A turn's text without role prefixes, stage directions at its ends, and surplus white space."""
    lines = []
    for line in text.replace("\r\n", "\n").replace("\0", "").split("\n"):
        while match := PREFIX.match(line):
            line = line[match.end() :]
        lines.append(re.sub(r"[ \t\u3000]+", " ", line).strip())
    joined = "\n".join(line for line in lines if line)
    while (shorter := DIRECTION.sub("", joined).strip()) != joined:
        joined = shorter
    return joined


def joined(turns: list[Turn]) -> list[Turn]:
    """Turns in which no role stands twice running: its texts are joined by a line end."""
    found: list[Turn] = []
    for turn in turns:
        if found and found[-1].role == turn.role:
            found[-1] = Turn(turn.role, f"{found[-1].text}\n{turn.text}")
        else:
            found.append(Turn(turn.role, turn.text))
    return found


def identifier(record: Record) -> str:
    """16 hex digits from the words of a record: the same words are the same record, wherever they stand."""
    content = [record.kind, record.role, [[turn.role, turn.text] for turn in record.turns]]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:ID_DIGITS]


def unify_record(record: Record) -> tuple[Record | None, str, dict[str, int]]:
    """The record in the common form, or None and the reason why it is dropped; and the identities replaced, by kind."""
    turns = [Turn(turn.role, clean(turn.text)) for turn in record.turns]
    if record.kind == "qa":
        turns = [
            Turn(turn.role, BOILERPLATE.sub("", turn.text).strip()) if turn.role == "counsellor" else turn
            for turn in turns
        ]
    fillers = [turn.role == "counsellor" and FILLER.match(turn.text) for turn in turns]
    turns = [turn for turn, filler in zip(turns, fillers, strict=True) if turn.text and not filler]
    if record.kind == "dialogue":
        turns = joined(turns)
    if not any(turn.role == "client" for turn in turns):
        return None, "the client says nothing", {}
    texts, counts = replace([turn.text for turn in turns])
    record.turns = [Turn(turn.role, text) for turn, text in zip(turns, texts, strict=True)]
    # The question is what groups records for the split; it must carry no identity either.
    record.question = replace([clean(record.question)])[0][0] if record.question else None
    record.id = identifier(record)
    return record, "", counts


def unify(entries: list[Path], out: Path) -> None:
    """Writes unified.jsonl and stats.json ({sources: {name: {read, kept, dropped: {reason: n}}}, identities})."""
    seen: set[str] = set()
    sources: dict[str, Any] = {}
    identities: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for entry in entries:
            for row in Progress(read_jsonl(entry / "records.jsonl"), what="records"):
                record, reason, counts = unify_record(Record.from_dict(row))
                stats = sources.setdefault(row["source"], {"read": 0, "kept": 0, "dropped": {}})
                stats["read"] += 1
                if record is not None and record.id in seen:
                    record, reason = None, "the same words stand in another record"
                if record is None:
                    stats["dropped"][reason] = stats["dropped"].get(reason, 0) + 1
                    continue
                seen.add(str(record.id))
                stats["kept"] += 1
                identities.update(counts)
                yield record.to_dict()

    kept = write_jsonl(out / "unified.jsonl", rows())
    read = sum(stats["read"] for stats in sources.values())
    write_json(out / "stats.json", {"read": read, "kept": kept, "sources": sources, "identities": dict(identities)})
