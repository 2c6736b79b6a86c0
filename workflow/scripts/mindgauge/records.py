"""Records: what every reader yields and every data step passes on."""

from dataclasses import dataclass, field
from typing import Any, Literal

Speaker = Literal["client", "counsellor"]


@dataclass
class Turn:
    """What one speaker says."""

    role: Speaker
    text: str


@dataclass
class Record:
    """A dialogue, or a question with its answers (`qa`).

    `key` names it within its source; `role` says whether it is to train on or human gold. `labels` are the human labels of
    gold records, all or some of the scheme's.
    """

    source: str
    key: str
    kind: Literal["dialogue", "qa"]
    turns: list[Turn]
    role: str = "train"
    keywords: list[str] = field(default_factory=list)
    question: str | None = None
    labels: dict[str, Any] | None = None
    id: str | None = None

    def words(self, role: Speaker) -> str:
        """All that one side says, a line a turn."""
        return "\n".join(turn.text for turn in self.turns if turn.role == role)

    def to_dict(self) -> dict[str, Any]:
        """The record as a row of JSONL."""
        row: dict[str, Any] = {
            "source": self.source,
            "key": self.key,
            "kind": self.kind,
            "role": self.role,
            "turns": [{"role": turn.role, "text": turn.text} for turn in self.turns],
            "keywords": self.keywords,
            "question": self.question,
            "labels": self.labels,
        }
        return {"id": self.id, **row} if self.id else row

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Record":
        """The record in a row of JSONL; further columns are left aside."""
        turns = [Turn(turn["role"], turn["text"]) for turn in row["turns"]]
        return cls(
            row["source"],
            row["key"],
            row["kind"],
            turns,
            row["role"],
            row["keywords"],
            row["question"],
            row["labels"],
            row.get("id"),
        )


@dataclass(frozen=True)
class Broken:
    """A record that could not be read: where, and why. Never its text."""

    file: str
    line: int
    reason: str
