"""PsySUICIDE: a JSON array of {idx, text, labels}: human classes of risk, used as gold.

Its eleven classes map on `risk_flag` as below (FIELD_NOTES 6). Two need a decision and are left out of the gold, since either
answer would be arguable: exploration of the subject without intent, and aggression by others.
"""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from mindgauge.readers.text import Seen
from mindgauge.records import Record, Turn

FORMAT = "one or more .json, each an array of objects with text and labels (a list of classes)"
SUFFIXES = (".json", ".jsonl")
RISK = {
    "主动自杀意图": "suicidal",
    "被动自杀意图": "suicidal",
    "自杀计划": "suicidal",
    "自杀准备行为": "suicidal",
    "自杀未遂": "suicidal",
    "自伤行为": "self_harm",
    "自伤意图": "self_harm",
    "用户攻击行为": "violence",
    "与自杀/自伤/攻击行为无关": "none",
}


class Post(TypedDict):
    """A text with its classes."""

    idx: NotRequired[int | str | None]
    text: str
    labels: list[str]


SHAPE = Post


def from_item(item: dict[str, Any], key: str, seen: Seen) -> Record | str:
    """A text whose class maps on `risk_flag`."""
    flags = {RISK[name] for name in item["labels"] if name in RISK}
    flag = next((name for name in ("suicidal", "self_harm", "violence", "none") if name in flags), None)
    if flag is None:
        return "its class has no risk_flag (exploration, or aggression by others)"
    if not item["text"].strip():
        return "a text without words"
    name = item.get("idx")
    return Record(
        "",
        key if name is None else str(name),
        "qa",
        [Turn("client", item["text"].strip())],
        labels={"risk_flag": flag},
    )
