"""PsySUICIDE: a JSON array of {idx, text, labels, data_source}: human classes of risk, used as gold.

CLASSES maps its eleven classes (H. Qiu et al. 2024, PsyGUARD, arXiv 2409.20243) on `risk_flag`; `sources.<name>.classes` of the
config overrides single ones. Two classes stand for no value, and texts that have no other are left out of the gold:

- exploration of suicide (关于自杀的探索) asks about the subject; no intent of the writer's is stated, and none is denied either.
- aggression by others (他人攻击行为): the writer is the victim, while `risk_flag` is about the student's own acts; it is no
  violence, and `none` would teach that there is nothing to look after.
"""

import re
from typing import Any, NotRequired

from typing_extensions import TypedDict

from mindgauge.readers.text import Seen
from mindgauge.records import Record, Turn

FORMAT = "one or more .json, each an array of objects with text and labels (a list of classes)"
SUFFIXES = (".json", ".jsonl")
CLASSES: dict[str, str | None] = {
    "主动自杀意图": "suicidal",
    "被动自杀意图": "suicidal",
    "自杀计划": "suicidal",
    "自杀准备行为": "suicidal",
    "自杀未遂": "suicidal",
    "自伤行为": "self_harm",
    "自伤意图": "self_harm",
    "用户攻击行为": "violence",
    "与自杀/自伤/攻击行为无关": "none",
    "关于自杀的探索": None,
    "他人攻击行为": None,
}
# Which one stands when several hold (FIELD_NOTES 8); any other value of a scheme comes behind them, and `none` last.
ORDER = ("suicidal", "self_harm", "violence")
# What may be shown of a class that is not known: a word, never a sentence that slipped into the wrong place.
WORD = re.compile(r"[\w/]{1,20}")


class Post(TypedDict):
    """A text with its classes; `idx` counts anew in each `data_source`."""

    idx: NotRequired[int | str | None]
    data_source: NotRequired[str | None]
    text: str
    labels: list[str]


SHAPE = Post


def _rank(flag: str) -> tuple[bool, int, str]:
    return flag == "none", ORDER.index(flag) if flag in ORDER else len(ORDER), flag


def flag_of(classes: list[str], mapping: dict[str, str | None]) -> tuple[str | None, str]:
    """The `risk_flag` of a text's classes, or None and why it has none. A class that stands for no value costs the text nothing
    beside a class of danger, but is not outvoted by `none`."""
    for name in classes:
        if name not in mapping:
            return (
                None,
                f"column labels: the class {name if WORD.fullmatch(name) else '(not a word)'} is not in `classes`",
            )
    flags = [flag for name in classes if (flag := mapping[name]) is not None]
    best = min(flags, key=_rank, default=None)
    left_out = [name for name in classes if mapping[name] is None]
    if left_out and best in (None, "none"):
        return None, f"column labels: the class {left_out[0]} stands for no risk_flag"
    return best, "" if best else "column labels: no class"


def from_item(item: dict[str, Any], key: str, names: dict[str, Any], seen: Seen) -> Record | str:
    """A text whose classes stand for a value of `risk_flag`; `names` maps them (CLASSES if it is empty)."""
    flag, reason = flag_of(item["labels"], names or CLASSES)
    if flag is None:
        return reason
    if not item["text"].strip():
        return "a text without words"
    parts = [str(part) for part in (item.get("data_source"), item.get("idx")) if part is not None]
    return Record(
        "",
        "-".join(parts) if item.get("idx") is not None else key,
        "qa",
        [Turn("client", item["text"].strip())],
        labels={"risk_flag": flag},
    )
