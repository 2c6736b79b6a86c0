"""The backend `file`: labels you already have, joined by record id, or by the client's words."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mindgauge.answers import AnswerError, canonical
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labels import Scheme
from mindgauge.shingles import packed

PACE: tuple[str, ...] = ()
MISSING = "no row in the file of labels"


def _content(text: str) -> str:
    """Words without white space and punctuation, hashed: copies that differ in these only are the same."""
    return hashlib.sha256(packed(text).encode()).hexdigest()


def _key(row: dict[str, Any], where: str) -> str:
    if row.get("id") is not None:
        return str(row["id"])
    if isinstance(row.get("text"), str):
        return _content(row["text"])
    raise UserError(
        "this row says neither id nor text",
        where=where,
        instead="`id` as in results/data/unified_min.jsonl, or `text`, the client's words there",
    )


def label(asked: Iterable[Asked], scheme: Scheme, path: Path) -> Iterator[Answer]:
    """Looks each record up in a JSONL of {id or text, and the labels, directly or under `labels`}; a record that is not there
    has no answer. Raises UserError, naming the line, for labels out of the scheme and for two different ones of one record."""
    held: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(read_jsonl(path), 1):
        where = f"{path.name}:{number}"
        own = row["labels"] if isinstance(row.get("labels"), dict) else row
        labels = {name: own[name] for name in scheme.names if name in own}
        try:
            canonical(scheme, labels)
        except AnswerError as error:
            raise UserError(
                f"the labels of this row are not of the scheme: {error}",
                where=where,
                instead="as config/labels.yaml says",
            ) from None
        if held.setdefault(_key(row, where), labels) != labels:
            raise UserError("two different labels for one record", where=where, instead="one row a record")
    for one in asked:
        found = held.get(one.id) or held.get(_content(one.text))
        yield Answer(one.id, found, None, fault="" if found else MISSING)
