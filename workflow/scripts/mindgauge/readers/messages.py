"""Chat messages: OpenAI's {messages: [{role, content}]}, ShareGPT's {conversations: [{from, value}]} and EmoLLM's
{conversation: [{system, input, output}]}. A system message is no one's words and is left out."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from mindgauge.readers.roles import NAMED
from mindgauge.readers.text import Seen
from mindgauge.records import Record, Turn

FORMAT = "one or more .json or .jsonl, of objects with messages, conversations or conversation (a list of turns)"
SUFFIXES = (".json", ".jsonl")


class Message(TypedDict):
    role: str
    content: str


Shared = TypedDict("Shared", {"from": str, "value": str})


class Pair(TypedDict):
    input: str
    output: str


class Chat(TypedDict):
    """A dialogue in one of the three forms."""

    id: NotRequired[int | str | None]
    messages: NotRequired[list[Message]]
    conversations: NotRequired[list[Shared]]
    conversation: NotRequired[list[Pair]]


SHAPE = Chat


def from_item(item: dict[str, Any], key: str, names: dict[str, Any], seen: Seen) -> Record | str:
    """The dialogue of an object."""
    said = [(turn["role"], turn["content"]) for turn in item.get("messages", [])]
    said += [(turn["from"], turn["value"]) for turn in item.get("conversations", [])]
    for pair in item.get("conversation", []):
        said += [("user", pair["input"]), ("assistant", pair["output"])]
    turns = []
    for role, text in said:
        seen.roles[role if role in NAMED or role == "system" else "(unknown)"] += 1
        if role == "system" or not text.strip():
            continue
        if role not in NAMED:
            return "a role that is neither the client's nor the counsellor's"
        turns.append(Turn(NAMED[role], text))
    name = item.get("id")
    return Record("", key if name is None else str(name), "dialogue", turns) if turns else "no turn"
