"""Unify: the records of all sources in one form, with identities replaced and content-derived ids."""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mindgauge import planted
from mindgauge.accounts import Account, totals
from mindgauge.files import write_json
from mindgauge.gold import join_gold
from mindgauge.identities import replace as without_identities
from mindgauge.parallel import over_batches
from mindgauge.progress import Progress
from mindgauge.readers.roles import PREFIX
from mindgauge.records import Broken, Record, Turn, from_line, identifier, to_line, write_lines
from mindgauge.withdrawals import WITHDRAWN

# So a record stands in its line before it has an id; only rows of gold may name one of ours.
UNNAMED = b'"id":null'
# What happens in the room, in brackets: at the beginning of a turn anything short, elsewhere what these words give away.
DIRECTION = re.compile(
    r"^\s*[（(【][^）)】\n]{1,20}[）)】]\s*"
    r"|[（(【][^）)】\n]{0,12}(?:沉默|思考|片刻|停顿|一段时间|过程|结束|省略|分钟后|第二天|[天周月]后|哭|笑|叹|低头|点头|摇头|流泪|哽咽|深呼吸|催眠|画完)[^）)】\n]{0,12}[）)】]\s*",
    re.MULTILINE,
)
FILLER = re.compile(r"^(?:嗯+|好的?|是的?|哦+|谢谢|对|你好|您好)*[。！？!?.，,…\s]*$")
# What the site's helpers write of the asker, of themselves and of the site (PsyQA).
GREETING = re.compile(
    r"^(?:亲爱的)?(?:题主|楼主|提问者)?(?:你好|您好)(?:呀|啊)?[，,。！!~\s]*|^亲爱的(?:题主|楼主)[，,：:\s]*"
)
SITE = re.compile(
    r"[^。！？!?\n]*(?:壹心理|一心理|关注我|私信我|我的主页|点个?赞|答主|世界和我爱着?你)[^。！？!?\n]*[。！？!?~]*"
)
ASKER = re.compile(r"题主|楼主")


def clean(text: str) -> str:
    """A turn's text without role prefixes, stage directions and surplus white space."""
    lines = []
    for line in DIRECTION.sub("", text).split("\n"):
        while match := PREFIX.match(line):
            line = line[match.end() :]
        lines.append(re.sub(r"[ \t\u3000\xa0]+", " ", line).strip())
    cleaned = "\n".join(line for line in lines if line)
    # Taking away one thing can lay bare another: a prefix behind a direction, and so on.
    return cleaned if cleaned == text else clean(cleaned)


def joined(turns: list[Turn]) -> list[Turn]:
    """Turns in which no role stands twice running: its texts are joined by a line end."""
    found: list[Turn] = []
    for turn in turns:
        if found and found[-1].role == turn.role:
            found[-1] = Turn(turn.role, f"{found[-1].text}\n{turn.text}")
        else:
            found.append(Turn(turn.role, turn.text))
    return found


@dataclass(slots=True)
class Unified:
    """What became of one record: its line and id, or why it was dropped; and what is counted of it."""

    source: str
    line: bytes = b""
    id: str = ""
    reason: str = ""
    turns: int = 0
    chars: int = 0
    identities: dict[str, int] | None = None
    words: int = 0
    ordinary: int = 0
    named: bool = False


def unify_record(record: Record) -> Unified:
    """The record in the common form, or the reason why it is dropped."""
    turns = [Turn(turn.role, clean(turn.text)) for turn in record.turns]
    if record.kind == "qa":
        for turn in turns:
            if turn.role == "counsellor":
                turn.text = clean(ASKER.sub("你", SITE.sub("", GREETING.sub("", turn.text))))
    fillers = [turn.role == "counsellor" and FILLER.match(turn.text) for turn in turns]
    turns = [turn for turn, filler in zip(turns, fillers, strict=True) if turn.text and not filler]
    if record.kind == "dialogue":
        turns = joined(turns)
    if not any(turn.role == "client" for turn in turns):
        return Unified(record.source, reason="the client says nothing")
    question = clean(record.question) if record.question else ""
    # The question groups records for the split, and keywords travel too; they must carry no identity either.
    found = without_identities([*(turn.text for turn in turns), question, *record.keywords])
    texts, rest = found.texts[: len(turns)], found.texts[len(turns) :]
    record.turns = [Turn(turn.role, text) for turn, text in zip(turns, texts, strict=True)]
    record.question, record.keywords = rest[0] or None, rest[1:]
    record.id = identifier(record)
    return Unified(
        record.source,
        to_line(record),
        record.id,
        turns=len(turns),
        chars=sum(len(text) for text in texts),
        identities=found.counts,
        words=found.words,
        ordinary=found.ordinary,
    )


def unify_lines(lines: list[bytes]) -> list[Unified]:
    """The records of lines of JSONL, unified."""
    return [unify_record(from_line(line, "records.jsonl")) for line in lines]


def _lines(entries: list[Path]) -> Iterator[bytes]:
    for entry in entries:
        with (entry / "records.jsonl").open("rb") as held:
            yield from held


def _joined(row: Record | Broken) -> Unified:
    """What became of a row of gold that names a record: that record's words with human labels, words of its own, or a fault."""
    if isinstance(row, Broken):
        return Unified("", reason=row.reason)
    if row.id is None:
        return unify_record(row)
    chars = sum(len(turn.text) for turn in row.turns)
    return Unified(row.source, to_line(row), str(row.id), turns=len(row.turns), chars=chars, named=True)


def unify(entries: list[Path], out: Path, threads: int = 1, withdrawn: Set[str] = frozenset()) -> None:
    """Writes unified.jsonl and stats.json: per source read = kept + dropped by reason, lengths and turns; the identities
    replaced, and the recall of the replacement on the planted test set. Rows of gold that name a record of ours by its id (an
    audit sheet that came back) come last and take that record's words. Records whose id is `withdrawn` are dropped."""
    seen: set[int] = set()
    named = [from_line(line, "records.jsonl") for line in _lines(entries) if UNNAMED not in line]
    wanted = {str(row.id) for row in named}
    known: dict[str, Record] = {}
    accounts: dict[str, Account] = {}
    identities: dict[str, int] = {}
    words = ordinary = 0

    def unified() -> Iterator[Unified]:
        """All but the named rows, then those, which need the others' words."""
        for found in over_batches(unify_lines, (line for line in _lines(entries) if UNNAMED in line), threads):
            if found.id in withdrawn:
                found.line, found.reason = b"", WITHDRAWN
            elif found.id in wanted:
                known[found.id] = from_line(found.line, "unified.jsonl")
            yield found
        for row, joined_row in zip(named, join_gold(named, known), strict=True):
            gone = Unified("", reason=WITHDRAWN) if row.id in withdrawn else _joined(joined_row)
            yield replace(gone, source=row.source)

    def kept() -> Iterator[bytes]:
        nonlocal words, ordinary
        for found in Progress(unified(), what="records"):
            account = accounts.setdefault(found.source, Account())
            if found.line and not found.named and int(found.id, 16) in seen:
                found.line, found.reason = b"", "the same words stand in another record"
            if not found.line:
                account.drop(found.reason)
                continue
            seen.add(int(found.id, 16))
            account.keep(found.turns, found.chars)
            words, ordinary = words + found.words, ordinary + found.ordinary
            for kind, count in (found.identities or {}).items():
                identities[kind] = identities.get(kind, 0) + count
            yield found.line

    write_lines(out / "unified.jsonl", kept())
    stats: dict[str, Any] = {
        **totals(accounts),
        "identities": identities,
        "words": words,
        "ordinary_words_replaced": ordinary,
        "over_replacement": round(ordinary / words, 6) if words else 0.0,
        "identity_test": planted.measure(lambda text: without_identities([text]).texts[0]),
    }
    write_json(out / "stats.json", stats)
