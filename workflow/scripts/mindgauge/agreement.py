"""How far voters agree: per label, over all records and by source. Agreement is consistency, not validity: voters may agree on
what is wrong (FIELD_NOTES 6)."""

import itertools
import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import krippendorff
import numpy as np
from sklearn.metrics import cohen_kappa_score

from mindgauge.labels import Field, Scheme, Value

# One record: its source, and what each voter says of it, the voters always in the same order; None: no valid answer.
Rated = tuple[str, Sequence[Mapping[str, Value] | None]]
MISSING = -1


def alpha(table: np.ndarray, level: Literal["nominal", "ordinal"]) -> float | None:
    """Krippendorff's alpha (K. Krippendorff 2011, Computing Krippendorff's alpha-reliability) of a table voters x records of
    places among the values, MISSING where there is no answer; `level`: `nominal` or `ordinal`. None where it is not defined:
    no record has two answers, or all answers that can be paired are the same."""
    paired = table[:, (table != MISSING).sum(axis=0) >= 2]
    if len(np.unique(paired[paired != MISSING])) < 2:
        return None
    ratings = np.where(paired == MISSING, np.nan, paired.astype(float))
    return round(float(krippendorff.alpha(reliability_data=ratings, level_of_measurement=level)), 4)


def pairwise_qwk(table: np.ndarray, values: int) -> float | None:
    """The mean over pairs of voters of the quadratic weighted kappa (J. Cohen 1968) on the records that both answered (the mean
    over pairs: R. J. Light 1971); pairs for which it is not defined are left out. None if there is none."""
    found = []
    for one, other in itertools.combinations(table, 2):
        both = (one != MISSING) & (other != MISSING)
        if not both.any():
            continue
        with warnings.catch_warnings():  # of a pair in which both always give one and the same value
            warnings.simplefilter("ignore")
            kappa = cohen_kappa_score(one[both], other[both], labels=range(values), weights="quadratic")
        if math.isfinite(kappa):
            found.append(float(kappa))
    return round(sum(found) / len(found), 4) if found else None


def _field(field: Field, answers: Sequence[Sequence[Mapping[str, Value] | None]], voters: int) -> dict[str, Any]:
    places = {value: place for place, value in enumerate(field.values)}
    table = np.array(
        [[MISSING if given is None else places[given[field.name]] for given in of] for of in answers], dtype=np.int64
    ).reshape(len(answers), voters)
    compared = table[(table != MISSING).sum(axis=1) >= 2]
    agreed = sum(len(set(row[row != MISSING].tolist())) == 1 for row in compared)
    found: dict[str, Any] = {
        "compared": len(compared),
        "agreed": agreed,
        "agreed_share": round(agreed / len(compared), 4) if len(compared) else None,
        "alpha": alpha(table.T, "ordinal" if field.kind == "ordinal" else "nominal"),
    }
    if field.kind == "ordinal":
        found["qwk"] = pairwise_qwk(table.T, len(field.values))
    return found


def _group(scheme: Scheme, answers: Sequence[Sequence[Mapping[str, Value] | None]], voters: int) -> dict[str, Any]:
    valid = [sum(given is not None for given in of) for of in answers]
    return {
        "records": len(answers),
        "answered_by_all": sum(count == voters for count in valid),
        "answered_by_none": sum(count == 0 for count in valid),
        "fields": {field.name: _field(field, answers, voters) for field in scheme.fields},
    }


def agreement(scheme: Scheme, rated: Iterable[Rated]) -> dict[str, Any]:
    """The agreement of k voters, ready for strict JSON: `voters`, `records`, `answered_by_all`, `answered_by_none`, `fields` and
    by `sources` the same.

    `fields.<label>`: of the records that at least two voters answered (`compared`) those on which all who did agree (`agreed`,
    `agreed_share`); `alpha`, Krippendorff's, ordinal or nominal as the label is; of ordinal labels `qwk`, the mean over pairs
    of voters. None stands where a figure is not defined (one voter, no variation). Raises ValueError if records differ in how
    many voters they have.
    """
    by_source: dict[str, list[Sequence[Mapping[str, Value] | None]]] = defaultdict(list)
    for source, answers in rated:
        by_source[source].append(answers)
    everything = [answers for of in by_source.values() for answers in of]
    sizes = {len(answers) for answers in everything}
    if len(sizes) > 1:
        raise ValueError("every record needs an answer, or None, of every voter")
    voters = sizes.pop() if sizes else 0
    return {
        "voters": voters,
        **_group(scheme, everything, voters),
        "sources": {source: _group(scheme, of, voters) for source, of in sorted(by_source.items())},
    }
