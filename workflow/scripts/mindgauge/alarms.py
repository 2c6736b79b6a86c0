"""Collapses of the labels that can raise an alarm into yes or no: any alarm ("flagged"), and those that are urgent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mindgauge.errors import UserError
from mindgauge.labels import Scheme, Value
from mindgauge.predictions import Bools, Floats, Ints, Predictions

# Of which a person must hear at once: someone may die or come to harm by their own hand.
URGENT: tuple[Value, ...] = ("suicidal", "self_harm")
# label -> the places among its values that count as yes
Collapse = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Cases:
    """Yes or no by the reference (`real`) and by the answer (`found`), m rows each, at the positions `rows` among the
    prediction rows. `score` is the probability of yes, NaN where there is none; None where no row has any."""

    rows: Ints
    real: Bools
    found: Bools
    score: Floats | None


def any_alarm_collapse(scheme: Scheme) -> Collapse:
    """Every value but the safe one, of each label that has one. Empty if no label raises an alarm."""
    return {
        field.name: tuple(place for place, value in enumerate(field.values) if value != field.safe)
        for field in scheme.alarms
    }


def urgent_collapse(scheme: Scheme, urgent: Sequence[Value] | None = None) -> Collapse:
    """The values `urgent` of the labels that raise an alarm; None: those of URGENT that the scheme has. Labels with
    none of them are left out. Raises UserError if a value is given that raises no alarm."""
    if urgent is not None:
        allowed = [value for field in scheme.alarms for value in field.values if value != field.safe]
        if stray := [value for value in urgent if value not in allowed]:
            raise UserError(
                f"urgent is {stray[0]!r}, which raises no alarm",
                where="config: evaluate.urgent",
                instead=f"one or more of {', '.join(map(str, allowed))}",
            )
    wanted = URGENT if urgent is None else tuple(urgent)
    found = {
        field.name: tuple(place for place, value in enumerate(field.values) if value in wanted)
        for field in scheme.alarms
    }
    return {name: places for name, places in found.items() if places}


def collapsed(predictions: Predictions, collapse: Collapse) -> Cases | None:
    """The rows whose reference has every label of the collapse that any reference has; None if there is no such label
    or row.

    Yes if one of the labels has one of the values; an answer that cannot be parsed says no. The probability of yes is 1
    - product over the labels of (1 - the sum of the values' probabilities): each label's probabilities are conditional
    on the labels chosen before it, so with several labels this treats them as independent; with one it is exact.
    """
    names = [name for name in collapse if name in predictions.expected]
    if not names:
        return None
    held = np.logical_and.reduce([predictions.has(name) for name in names])
    rows = np.flatnonzero(held)
    if not len(rows):
        return None
    real = np.logical_or.reduce([np.isin(predictions.expected[name][rows], collapse[name]) for name in names])
    found = np.logical_or.reduce([np.isin(predictions.given[name][rows], collapse[name]) for name in names])
    score: Floats | None = None
    if all(name in predictions.probabilities for name in names):
        # From the values that say yes, not as 1 - P(safe): what lies near 1 would lose its digits, and with it its
        # rank.
        yes = [predictions.probabilities[name][rows][:, list(collapse[name])].sum(axis=1) for name in names]
        with np.errstate(divide="ignore"):
            score = yes[0] if len(yes) == 1 else -np.expm1(sum(np.log1p(-np.minimum(part, 1.0)) for part in yes))
        if np.isnan(score).all():
            score = None
    return Cases(rows, real, found, score)
