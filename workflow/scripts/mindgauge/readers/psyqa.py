"""PsyQA: a JSON array of questions {questionID, question, description, keywords, answers: [{answer_text, …}]}."""

from collections.abc import Iterator
from pathlib import Path

from mindgauge.files import files_below
from mindgauge.readers.text import json_items
from mindgauge.records import Broken, Record, Turn

FORMAT = "one or more .json, each an array of objects with question, description, keywords and answers"


def read(path: Path, columns: dict[str, str]) -> Iterator[Record | Broken]:
    """One record a question: the client's question and description, then every answer that has a text."""
    for file in files_below(path) if path.is_dir() else [path]:
        if file.suffix != ".json":
            continue
        try:
            for number, (line, item) in enumerate(json_items(file)):
                if (
                    not isinstance(item, dict)
                    or not isinstance(item.get("question"), str)
                    or not isinstance(item.get("answers"), list)
                ):
                    yield Broken(file.name, line, "not an object with question and answers")
                    continue
                asked = "\n".join(
                    part.strip() for part in (item["question"], item.get("description")) if part and part.strip()
                )
                given = [answer.get("answer_text") for answer in item["answers"] if isinstance(answer, dict)]
                turns = [
                    Turn("client", asked),
                    *(Turn("counsellor", text.strip()) for text in given if isinstance(text, str) and text.strip()),
                ]
                words = item.get("keywords") or ""
                keywords = (
                    words
                    if isinstance(words, list)
                    else [word for word in str(words).replace("，", ",").split(",") if word]
                )
                yield Record(
                    "",
                    str(item.get("questionID", number)),
                    "qa",
                    turns,
                    keywords=keywords,
                    question=item["question"].strip(),
                )
        except (ValueError, UnicodeDecodeError) as error:
            yield Broken(file.name, error.args[0] if type(error) is ValueError else 1, "not JSON from here on")
