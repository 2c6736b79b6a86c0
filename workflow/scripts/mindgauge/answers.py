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


class _Object(dict[str, Any]):
    """A JSON object that remembers whether a key stood in it twice."""

    doubled = False

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> "_Object":
        found = cls(pairs)
        found.doubled = len(found) != len(pairs)
        return found


def _objects(scheme: Scheme, text: str) -> tuple[list[_Object], bool]:
    """The outermost JSON objects that hold a key of the scheme, and whether nothing else stands around them."""
    decoder = json.JSONDecoder(object_pairs_hook=_Object.of)
    found, rest, at = [], [], 0
    while (start := text.find("{", at)) >= 0:
        rest.append(text[at:start])
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):  # ValueError also for integers of thousands of digits
            value, end = None, start + 1
        if isinstance(value, _Object) and not set(scheme.names).isdisjoint(value):
            found.append(value)
        else:
            # The answer may lie in it: {"answer": {…}}.
            end = start + 1
            rest.append("{")
        at = end
    rest.append(text[at:])
    return found, not "".join(rest).strip()


def _restored(scheme: Scheme, found: _Object) -> tuple[dict[str, Value] | None, list[str]]:
    """The labels of one object, or None, and what was repaired, or what is wrong."""
    if found.doubled:
        return None, ["a key stands twice"]
    labels: dict[str, Value] = {}
    notes = []
    for field in scheme.fields:
        value: Any = found.get(field.name)
        if isinstance(value, str) and value not in field.values:
            numbers = {str(number): number for number in field.values if isinstance(number, int)}
            if value in numbers:
                value = numbers[value]
                notes.append("numbers as strings")
        if field.name in found:
            labels[field.name] = value
    try:
        canonical(scheme, labels)
    except AnswerError as error:
        return None, [str(error)]
    if set(found) != set(labels):
        notes.append("keys of no label")
    if [name for name in found if name in labels] != list(scheme.names):
        notes.append("keys in another order")
    return labels, notes  # in key order, since the fields were gone through


def repair(scheme: Scheme, text: str) -> tuple[dict[str, Value] | None, str]:
    """The labels in a freely generated text, and a note: what was repaired, or, with None, why there are none.

    The answer is looked for after the end of reasoning (`</think>`), in prose, code fences or another object. Keys may
    stand in another order or beside others, and numbers may be strings. A key that is missing or stands twice, a value out
    of range, and several answers that differ are not repaired. The note never quotes the text.
    """
    reasoning, closed, after = text.rpartition("</think>")
    # Reasoning that never ended may hold an answer that was being weighed, not given.
    if "<think>" in after:
        return None, "the reasoning has no end"
    found, alone = _objects(scheme, after)
    if not found:
        return None, "no JSON object with a label"
    tried = [_restored(scheme, item) for item in found]
    labels, notes = tried[0]
    if any(other != labels for other, _ in tried):
        return None, "several answers that differ"
    if labels is None:
        return None, notes[0]
    notes = sorted({note for _, of in tried for note in of})
    if closed and reasoning.replace("<think>", "").strip():
        notes.append("reasoning before it")
    if not alone or len(found) > 1:
        notes.append("words around it")
    return labels, "repaired: " + ", ".join(notes) if notes else ""


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
