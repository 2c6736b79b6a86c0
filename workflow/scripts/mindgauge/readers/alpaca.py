"""The form of LLaMA-Factory (alpaca): objects with instruction, input, output and, for dialogues, history: the CPsyCounD of the
model hub, and what was exported from other sets. Turns are history's pairs, then instruction and input, then output."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from mindgauge.readers.text import Seen
from mindgauge.records import Record, Turn

FORMAT = (
    "one or more .json or .jsonl, of objects with instruction, input, output and perhaps history (pairs of strings)"
)
SUFFIXES = (".json", ".jsonl")


class Exchange(TypedDict):
    """A row of the form."""

    id: NotRequired[int | str | None]
    instruction: str
    input: NotRequired[str | None]
    output: str
    history: NotRequired[list[tuple[str, str]] | None]


SHAPE = Exchange


def from_item(item: dict[str, Any], key: str, names: dict[str, Any], seen: Seen) -> Record | str:
    """The dialogue of a row; a system prompt is no one's words and is left out."""
    asked = "\n".join(part for part in (item["instruction"], item.get("input")) if part and part.strip())
    pairs = [*(item.get("history") or []), (asked, item["output"])]
    turns = []
    for client, counsellor in pairs:
        turns += [Turn("client", client), Turn("counsellor", counsellor)]
    turns = [turn for turn in turns if turn.text.strip()]
    seen.roles.update(turn.role for turn in turns)
    name = item.get("id")
    return Record("", key if name is None else str(name), "dialogue", turns) if turns else "no turn"
