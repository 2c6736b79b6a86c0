"""What the model reads of a dialogue, in training, evaluation and use alike."""

from mindgauge.records import Record

NAMES = {"client": "学生", "counsellor": "咨询师", "other": "旁人"}
VIEWS = {"client": "dialogue", "dialogue": "client"}


def view(record: Record, which: str) -> str:
    """What the model reads: `client`, the client's turns, a line each; or `dialogue`, all turns with who speaks."""
    if which == "client":
        return record.words("client")
    return "\n".join(f"{NAMES[turn.role]}：{turn.text}" for turn in record.turns)
