"""What every labeller is asked and answers."""

from dataclasses import dataclass, field
from typing import Any

from mindgauge.labels import Value


@dataclass(frozen=True)
class Asked:
    """A record to label: its id and what the client says, which stands in no log or message (nor in this one's repr)."""

    id: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What a labeller makes of one record.

    `labels` is None if no valid answer came; `fault` then says why, and otherwise what was repaired (`repaired: …`).
    `probabilities` maps label -> str(value) -> probability. `evidence` holds names of rules. None of them quotes the text.
    """

    id: str
    labels: dict[str, Value] | None
    probabilities: dict[str, dict[str, float]] | None = None
    evidence: dict[str, list[str]] = field(default_factory=dict)
    fault: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The answer as a line of JSONL."""
        return {
            "id": self.id,
            "labels": self.labels,
            "probabilities": self.probabilities,
            "evidence": self.evidence,
            "fault": self.fault,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Answer":
        """The answer of a line that `to_dict` made."""
        return cls(data["id"], data["labels"], data["probabilities"], data["evidence"], data["fault"])
