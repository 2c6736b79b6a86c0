"""PsyQA: a JSON array of questions {questionID, question, description, keywords, answers: [{answer_text, …}]}."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from mindgauge.readers.text import Seen
from mindgauge.records import Record, Turn

FORMAT = "one or more .json, each an array of objects with question, description, keywords and answers"
SUFFIXES = (".json", ".jsonl")


class Answer(TypedDict):
    """An answer; the strategy labels of the set are of no use here."""

    answer_text: NotRequired[str | None]


class Question(TypedDict):
    """A question with its answers."""

    questionID: NotRequired[int | str | None]
    question: str
    description: NotRequired[str | None]
    keywords: NotRequired[str | list[str] | None]
    answers: list[Answer]


SHAPE = Question


def from_item(item: dict[str, Any], key: str, names: dict[str, Any], seen: Seen) -> Record | str:
    """The client's question and description, then every answer that has a text."""
    asked = "\n".join(part.strip() for part in (item["question"], item.get("description")) if part and part.strip())
    if not asked:
        return "a question without words"
    given = [text for answer in item["answers"] if (text := (answer.get("answer_text") or "").strip())]
    seen.roles["answer"] += len(given)
    seen.roles["answer without text"] += len(item["answers"]) - len(given)
    words = item.get("keywords") or ""
    keywords = words if isinstance(words, list) else [word for word in words.replace("，", ",").split(",") if word]
    name = item.get("questionID")
    return Record(
        "",
        key if name is None else str(name),
        "qa",
        [Turn("client", asked), *(Turn("counsellor", text) for text in given)],
        keywords=keywords,
        question=item["question"].strip() or None,
    )
