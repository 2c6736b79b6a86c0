"""Records: what every reader yields and every data step passes on. The dataclasses are the schema, checked on every write
and read (config/schemas/record.schema.json is made from them)."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mindgauge.errors import UserError
from mindgauge.files import atomic_path

# `other`: someone else in the room, such as a parent; their words are neither the client's nor the counsellor's.
Speaker = Literal["client", "counsellor", "other"]
STRICT = ConfigDict(extra="forbid", revalidate_instances="always", strict=True)


@dataclass(slots=True)
class Turn:
    """What one speaker says."""

    __pydantic_config__ = STRICT

    role: Speaker
    text: str


@dataclass(slots=True)
class Record:
    """A dialogue, or a question with its answers (`qa`).

    `key` names it within its source; `role` says whether it is to train on or human gold. `labels` are the human labels of
    gold records, all or some of the scheme's. `themes` and `evidence` (why it is a student's) come with minimising.
    """

    __pydantic_config__ = STRICT

    source: str
    key: str
    kind: Literal["dialogue", "qa"]
    turns: Annotated[list[Turn], Field(min_length=1)]
    role: Literal["train", "gold"] = "train"
    keywords: list[str] = field(default_factory=list)
    question: str | None = None
    labels: dict[str, int | str] | None = None
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    licence: str = "unknown"
    themes: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)

    def words(self, role: Speaker) -> str:
        """All that one side says, a line a turn."""
        return "\n".join(turn.text for turn in self.turns if turn.role == role)


RECORD: TypeAdapter[Record] = TypeAdapter(Record)
ID_DIGITS = 16


def identifier(record: Record) -> str:
    """16 hex digits from the words of a record: the same words are the same record, wherever they stand."""
    content = [record.kind, record.role, [[turn.role, turn.text] for turn in record.turns]]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:ID_DIGITS]


def fault(error: ValidationError) -> str:
    """What is wrong with a value, in words that never quote it: `turns.0.text: should be a valid string`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # Further columns of a raw item may be named by a person; only the field names of our own models and positions are shown.
    place = ".".join(str(part) for part in first["loc"]) if first["type"] != "extra_forbidden" else "a further key"
    return f"{place}: {first['msg'].replace('Input should be', 'should be')}" if place else first["msg"]


def from_line(line: bytes | str, where: str) -> Record:
    """The record in one line of JSONL. Raises UserError if it is not of the schema."""
    try:
        return RECORD.validate_json(line)
    except ValidationError as error:
        raise UserError(
            f"this line is not a record ({fault(error)})",
            where=where,
            instead="one object a line, as config/schemas/record.schema.json says",
        ) from None


def to_line(record: Record) -> bytes:
    """The record as one line of JSONL. Raises UserError if it is not of the schema."""
    try:
        return RECORD.dump_json(RECORD.validate_python(record)) + b"\n"
    except ValidationError as error:
        raise UserError(
            f"a record is not of the schema ({fault(error)})", where=f"{record.source}/{record.key}"
        ) from None


def read_records(path: Path) -> Iterator[Record]:
    """The records of a JSONL file, one after another. Raises UserError naming the line that is none."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield from_line(line, f"{path}:{number}")


def write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Writes lines that `to_line` made, aside and then renamed, and returns how many."""
    count = 0
    with atomic_path(path) as aside, aside.open("wb") as out:
        for line in lines:
            out.write(line)
            count += 1
    return count


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Writes one record a line, aside and then renamed, and returns how many."""
    return write_lines(path, map(to_line, records))


@dataclass(frozen=True, slots=True)
class Broken:
    """What could not be read: where, and why. Never its text."""

    file: str
    line: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """As a row of quarantine.jsonl."""
        return {"file": self.file, "line": self.line, "reason": self.reason}
