"""The answer: one line of JSON with the labels in key order."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from mindgauge.labels import Scheme, Value


class AnswerError(ValueError):
    """A text that is not a valid answer. The message never quotes the text."""


def canonical(scheme: Scheme, labels: Mapping[str, Any]) -> str:
    """The labels as canonical JSON: one line, the scheme's key order, `", "` and `": "`, integers bare.

    Raises AnswerError if a label is missing, unknown or out of range.
    """
    if extra := set(labels) - set(scheme.names):
        raise AnswerError(f"unknown label {sorted(extra)[0]!r}")
    for field in scheme.fields:
        if field.name not in labels:
            raise AnswerError(f"{field.name} is missing")
        # type(), since True == 1 and 1.0 == 1
        if not any(type(labels[field.name]) is type(value) and labels[field.name] == value for value in field.values):
            raise AnswerError(f"{field.name} is not one of {list(field.values)}")
    return json.dumps({name: labels[name] for name in scheme.names}, ensure_ascii=False)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AnswerError("a key stands twice")
    return found


def parse(scheme: Scheme, text: str) -> dict[str, Value]:
    """The labels of an answer, whitespace around it allowed. Raises AnswerError for anything but JSON with
    exactly the scheme's keys in their order and values in range."""
    try:
        found = json.loads(text.strip(), object_pairs_hook=_pairs)
    except json.JSONDecodeError:
        raise AnswerError("not JSON") from None
    if not isinstance(found, dict):
        raise AnswerError("not a JSON object")
    if list(found) != list(scheme.names) and set(found) == set(scheme.names):
        raise AnswerError("the keys stand in another order")
    canonical(scheme, found)
    return found


def all_answers(scheme: Scheme) -> list[str]:
    """Every valid answer (640 for the default scheme), in a fixed order."""
    return [
        canonical(scheme, dict(zip(scheme.names, values, strict=True)))
        for values in itertools.product(*(field.values for field in scheme.fields))
    ]


def json_schema(scheme: Scheme) -> dict[str, Any]:
    """JSON Schema (2020-12) of the answer. Enumerations, since llama.cpp ignores minimum and maximum of integers."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {field.name: {"enum": list(field.values)} for field in scheme.fields},
        "required": list(scheme.names),
        "additionalProperties": False,
    }


def gbnf(scheme: Scheme) -> str:
    """llama.cpp's GBNF for exactly the valid answers in canonical form (format: llama.cpp, grammars/README.md)."""

    def literal(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    parts = []
    for number, field in enumerate(scheme.fields):
        before = "{" if number == 0 else ", "
        choices = " | ".join(literal(json.dumps(value, ensure_ascii=False)) for value in field.values)
        parts.append(f"{literal(before + json.dumps(field.name) + ': ')} ({choices})")
    return "root ::= " + " ".join(parts) + ' "}"\n'
