"""Prediction rows as arrays: what every figure is computed from. One row a held-out record, without its text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mindgauge.errors import UserError
from mindgauge.labels import Field, Scheme, Value

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MISSING = -1
KEYS = frozenset({"id", "group", "source", "themes", "length", "reference", "labels", "probabilities", "stopped"})
# Probabilities are written with some rounding, and are brought to a sum of 1 again; further off they are something
# else.
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Predictions:
    """n prediction rows, in the order they were given in.

    `expected[label]`: places among the label's values (n), MISSING where the reference does not have the label; a label
    that no reference has is left out. `given[label]`: places (n), `len(values)` where the answer cannot be parsed, so
    that it is no value's. `probabilities[label]`: n x values, rows of NaN where there are none; a label that no row has
    them for is left out. `lengths` are characters. `stopped` is None where nothing was generated.
    """

    scheme: Scheme
    ids: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    sources: npt.NDArray[np.str_]
    themes: tuple[tuple[str, ...], ...]
    lengths: Ints
    expected: dict[str, Ints]
    given: dict[str, Ints]
    probabilities: dict[str, Floats]
    valid: Bools
    stopped: Bools | None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The labels that some reference has, in key order."""
        return tuple(field for field in self.scheme.fields if field.name in self.expected)

    @property
    def common(self) -> tuple[Field, ...]:
        """The labels that every reference has, in key order."""
        return tuple(field for field in self.fields if (self.expected[field.name] != MISSING).all())

    def has(self, name: str) -> Bools:
        """Which rows' references have the label."""
        found: Bools = self.expected[name] != MISSING
        return found

    def take(self, rows: Bools | Ints) -> "Predictions":
        """The rows of a mask or of positions. Labels and probabilities that none of them has are kept, as MISSING and
        NaN."""
        positions = np.arange(len(self))[rows]
        changed: dict[str, Any] = {
            one.name: {name: of[positions] for name, of in value.items()}
            if isinstance(value := getattr(self, one.name), dict)
            else value[positions]
            for one in fields(self)
            if one.name not in ("scheme", "themes", "stopped")
        }
        return replace(
            self,
            **changed,
            themes=tuple(self.themes[place] for place in positions),
            stopped=None if self.stopped is None else self.stopped[positions],
        )


def _places(scheme: Scheme, labels: Any, where: str, whole: bool) -> dict[str, int]:
    """label -> place among its values. Raises UserError for what is no label, out of range, or, if `whole`, missing."""
    if not isinstance(labels, Mapping):
        raise UserError("labels are not a mapping", where=where, instead="{label: value}")
    if unknown := [name for name in labels if name not in scheme.names]:
        raise UserError(f"unknown label {unknown[0]!r}", where=where, instead=f"one of {', '.join(scheme.names)}")
    found = {}
    for field in scheme.fields:
        if field.name not in labels:
            if whole:
                raise UserError(f"{field.name} is missing", where=where, instead="a value for every label, or null")
            continue
        value = labels[field.name]
        # type(), since True == 1 and 1.0 == 1
        place = [n for n, allowed in enumerate(field.values) if type(allowed) is type(value) and allowed == value]
        if not place:
            raise UserError(
                f"{field.name} is out of range", where=where, instead=f"one of {', '.join(map(str, field.values))}"
            )
        found[field.name] = place[0]
    return found


def _shares(field: Field, given: Any, where: str) -> list[float]:
    """The probabilities of a label's values, in their order and with sum 1. Raises UserError."""
    names = [str(value) for value in field.values]
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise UserError(
            f"the probabilities of {field.name} are not of its values", where=where, instead=f"one for each of {names}"
        )
    shares = [given[name] for name in names]
    if (
        not all(type(share) in (int, float) and 0 <= share <= 1 + SUM_TOLERANCE for share in shares)
        or abs(sum(shares) - 1) > SUM_TOLERANCE
    ):
        raise UserError(
            f"the probabilities of {field.name} are no distribution",
            where=where,
            instead="numbers of 0 to 1 with sum 1",
        )
    return [share / sum(shares) for share in shares]


def _word(row: Mapping[str, Any], key: str, where: str) -> str:
    if not isinstance(row.get(key), str) or not row[key]:
        raise UserError(f"the row has no {key}", where=where, instead=f"`{key}`: a word")
    return str(row[key])


def from_rows(scheme: Scheme, rows: Iterable[Mapping[str, Any]], where: str = "predictions") -> Predictions:
    """Prediction rows, checked. No row at all is allowed: its figures say so.

    A row: `id`, `group`, `source` (words), `themes` (words; may be missing), `length` (characters), `reference` {label:
    value} (some of the labels are enough), `labels` (all of them, or None: cannot be parsed), `probabilities` {label:
    {str(value): p}} or None (may be missing), `stopped` (true, false or None; may be missing). Raises UserError, naming
    `where` and the id, for two ids alike, an unknown key or label, a value out of range, an empty reference,
    probabilities that are no distribution, and rows of which only some say whether they stopped.
    """
    ids: list[str] = []
    words: dict[str, list[str]] = {"group": [], "source": []}
    themes: list[tuple[str, ...]] = []
    lengths: list[int] = []
    expected: dict[str, list[int]] = {name: [] for name in scheme.names}
    given: dict[str, list[int]] = {name: [] for name in scheme.names}
    shares: dict[str, list[list[float]]] = {name: [] for name in scheme.names}
    valid: list[bool] = []
    stopped: list[bool | None] = []
    for number, row in enumerate(rows, 1):
        name = _word(row, "id", f"{where}:{number}")
        at = f"{where}, id {name}"
        if unknown := set(row) - KEYS:
            raise UserError(
                f"unknown key {sorted(unknown)[0]!r} of a prediction row", where=at, instead=f"one of {sorted(KEYS)}"
            )
        ids.append(name)
        for key, of in words.items():
            of.append(_word(row, key, at))
        touched = row.get("themes") or []
        if isinstance(touched, str) or not all(isinstance(theme, str) for theme in touched):
            raise UserError("themes are not a list of words", where=at, instead="[] where there is none")
        themes.append(tuple(dict.fromkeys(touched)))
        if type(row.get("length")) is not int or row["length"] < 0:
            raise UserError("the row has no length", where=at, instead="`length`: characters, 0 or more")
        lengths.append(row["length"])
        reference = _places(scheme, row.get("reference"), f"{at}, reference", whole=False)
        if not reference:
            raise UserError("the reference has no label", where=at, instead="leave the row out, or label it")
        answer = row.get("labels")
        places = None if answer is None else _places(scheme, answer, f"{at}, labels", whole=True)
        known = row.get("probabilities") or {}
        if stray := set(known) - set(scheme.names):
            raise UserError(f"probabilities of {sorted(stray)[0]!r}, which is no label", where=at, instead="none")
        for field in scheme.fields:
            expected[field.name].append(reference.get(field.name, MISSING))
            given[field.name].append(len(field.values) if places is None else places[field.name])
            shares[field.name].append(
                _shares(field, known[field.name], at) if field.name in known else [np.nan] * len(field.values)
            )
        valid.append(answer is not None)
        if row.get("stopped") not in (None, True, False):
            raise UserError("`stopped` is neither true nor false", where=at, instead="null where nothing was generated")
        stopped.append(row.get("stopped"))
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise UserError(
            f"{len(twice)} ids stand in several rows, {twice[0]} first",
            where=where,
            instead="one row a held-out record",
        )
    if len({value is None for value in stopped}) > 1:
        raise UserError(
            "only some rows say whether the model stopped by itself", where=where, instead="all rows, or none"
        )
    tables = {
        field.name: np.array(shares[field.name], dtype=np.float64).reshape(len(ids), len(field.values))
        for field in scheme.fields
    }
    return Predictions(
        scheme=scheme,
        ids=np.array(ids, dtype=np.str_),
        groups=np.array(words["group"], dtype=np.str_),
        sources=np.array(words["source"], dtype=np.str_),
        themes=tuple(themes),
        lengths=np.array(lengths, dtype=np.int64),
        expected={
            name: np.array(of, dtype=np.int64) for name, of in expected.items() if any(place != MISSING for place in of)
        },
        given={name: np.array(of, dtype=np.int64) for name, of in given.items()},
        probabilities={name: table for name, table in tables.items() if not np.isnan(table).all()},
        valid=np.array(valid, dtype=np.bool_),
        stopped=np.array(stopped, dtype=np.bool_) if stopped and stopped[0] is not None else None,
    )


def from_answers(
    scheme: Scheme,
    answers: Sequence[Mapping[str, Value] | None],
    references: Sequence[Mapping[str, Value]],
    stopped: Sequence[bool] | None = None,
) -> Predictions:
    """Answers and references alone, in step; each row is a group of its own. Raises UserError as `from_rows` does."""
    return from_rows(
        scheme,
        (
            {
                "id": str(number),
                "group": str(number),
                "source": "all",
                "length": 0,
                "reference": reference,
                "labels": answer,
                "stopped": stopped[number] if stopped is not None else None,
            }
            for number, (answer, reference) in enumerate(zip(answers, references, strict=True))
        ),
    )


def check_ids(predictions: Predictions, held_out: Iterable[str], where: str = "predictions") -> None:
    """Raises UserError if there are predictions for ids that are not held out, or held-out ids without a prediction."""
    found, wanted = set(predictions.ids.tolist()), set(held_out)
    if unknown := sorted(found - wanted):
        raise UserError(
            f"{len(unknown)} predictions are for ids that are not held out, {unknown[0]} first",
            where=where,
            instead="predictions of the same held-out rows; those of another split or run are not comparable",
        )
    if without := sorted(wanted - found):
        raise UserError(
            f"{len(without)} of {len(wanted)} held-out rows have no prediction, {without[0]} first",
            where=where,
            instead="a row for each; an answer that cannot be parsed has `labels: null` and counts as wrong",
        )
