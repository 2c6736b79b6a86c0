"""Calibration: do the probabilities say how often an answer is right? And the temperature that makes them say it
better.

A label's probabilities are conditional on the labels chosen before it (engines/__init__.py).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, log_loss

from mindgauge.alarms import any_alarm_collapse, collapsed
from mindgauge.errors import UserError
from mindgauge.predictions import Bools, Floats, Ints, Predictions
from mindgauge.shares import FEW

BINS = 10
# A temperature outside of these says that there is nothing to fit (all right with no doubt left, or no better than
# chance).
LOWEST, HIGHEST = 0.05, 20.0
# A probability of 0 of what was right would make the loss infinite; float32 has no smaller share of 1 to speak of.
TINY = 1e-12
CONSISTENCY, SEED = 200, 1


def _bins(confidence: Floats, bins: int) -> Ints:
    """The bin of each confidence (n). Digits that are noise of the arithmetic are dropped, so that they part no
    ties."""
    rounded = np.round(confidence, 9)
    found: Ints = np.searchsorted(np.quantile(rounded, np.linspace(0, 1, bins + 1))[1:-1], rounded)
    return found


def reliability(confidence: Floats, right: Bools, bins: int = BINS) -> list[dict[str, Any]]:
    """The reliability table of n answers: in bins of equal mass (`low` to `high`, edges at quantiles of the confidence,
    as sklearn.calibration.calibration_curve does with strategy `quantile`) the mean `confidence`, the `accuracy` and
    `n`. Equal confidences are never parted, so bins may be fewer and of unequal mass where there are ties."""
    if not len(confidence):
        return []
    place = _bins(confidence, bins)
    found = []
    for number in np.unique(place):
        inside = place == number
        found.append(
            {
                "low": round(float(confidence[inside].min()), 6),
                "high": round(float(confidence[inside].max()), 6),
                "confidence": round(float(confidence[inside].mean()), 6),
                "accuracy": round(float(right[inside].mean()), 6),
                "n": int(inside.sum()),
                "few": bool(inside.sum() < FEW),
            }
        )
    return found


def _ece(confidence: Floats, right: Floats, bins: int) -> Floats:
    """ECE of k sets of outcomes (k x n) with the same confidences (n)."""
    place = _bins(confidence, bins)
    member = np.zeros((len(confidence), bins))
    member[np.arange(len(confidence)), place] = 1.0
    gaps: Floats = np.abs((right - confidence) @ member).sum(axis=1) / len(confidence)
    return gaps


def ece(confidence: Floats, right: Bools, bins: int = BINS) -> float:
    """Expected calibration error with bins of equal mass: the mean over bins, weighted by their rows, of |accuracy -
    mean confidence| (M. P. Naeini et al. 2015; equal mass: K. Nguyen and B. O'Connor 2015). NaN for no row."""
    if not len(confidence):
        return float("nan")
    return float(_ece(confidence, right.astype(np.float64)[None], bins)[0])


def _ece_by_chance(confidence: Floats, bins: int) -> list[float]:
    """Mean and 95 % quantile of the ECE that these confidences would give if they were perfectly calibrated (J. Bröcker
    and L. A. Smith 2007): with few rows it is far from 0 by chance alone."""
    random = np.random.default_rng(SEED)
    confidence = np.sort(confidence)  # the order of the rows decides nothing
    found = _ece(confidence, (random.random((CONSISTENCY, len(confidence))) < confidence).astype(np.float64), bins)
    return [round(float(found.mean()), 4), round(float(np.quantile(found, 0.95)), 4)]


def _known(predictions: Predictions, name: str) -> tuple[Floats, Ints]:
    """Probabilities (m x values) and places by the reference of the rows that have both."""
    if name not in predictions.probabilities or name not in predictions.expected:
        return np.zeros((0, len(predictions.scheme[name].values))), np.zeros(0, dtype=np.int64)
    table = predictions.probabilities[name]
    rows = predictions.has(name) & ~np.isnan(table).any(axis=1)
    return table[rows], predictions.expected[name][rows]


def _nll(table: Floats, expected: Ints) -> float:
    """Mean of -ln p(right value), natural logarithm."""
    clipped = np.clip(table, TINY, 1.0)
    return float(
        log_loss(expected, clipped / clipped.sum(axis=1, keepdims=True), labels=np.arange(table.shape[1]).tolist())
    )


def field_calibration(table: Floats, expected: Ints, bins: int = BINS) -> dict[str, Any] | None:
    """The calibration of one label on m rows: probabilities (m x values) and places by the reference (m). None for no
    row.

    The confidence is the probability of the likeliest value. `ece` with `bins` bins of equal mass and what chance alone
    gives (`ece_by_chance`: mean, 95 % quantile); `brier`: mean over rows of the sum over values of (p - outcome)^2, 0
    to 2 (G. W. Brier 1950); `nll` in nats; `reliability`.
    """
    if not len(expected):
        return None
    likeliest = table.argmax(axis=1)
    confidence, right = table[np.arange(len(table)), likeliest], likeliest == expected
    labels = np.arange(table.shape[1])
    # One column for each value: scikit-learn sums over them for more than two; for two it is told not to halve it
    # either.
    brier = (
        brier_score_loss(expected, table, labels=labels, scale_by_half=False)
        if len(labels) > 2
        else 2 * brier_score_loss(expected, table[:, 1], labels=labels, scale_by_half=True)
    )
    return {
        "n": len(expected),
        "accuracy": round(float(right.mean()), 4),
        "mean_confidence": round(float(confidence.mean()), 4),
        "ece": round(ece(confidence, right, bins), 4),
        "ece_by_chance": _ece_by_chance(confidence, bins),
        "bins": bins,
        "brier": round(float(brier), 6),
        "nll": round(_nll(table, expected), 6),
        "reliability": reliability(confidence, right, bins),
        "few": len(expected) < FEW,
    }


def alarm_calibration(predictions: Predictions, bins: int = BINS) -> dict[str, Any] | None:
    """The calibration of the probability of any alarm: where alarms are rare, a label's confidence is that of no alarm,
    and says nothing of them. As `field_calibration`, with `accuracy` read as the share of real cases; Brier of yes or
    no is 0 to 1. None if no row has probabilities."""
    cases = collapsed(predictions, any_alarm_collapse(predictions.scheme))
    if cases is None or cases.score is None:
        return None
    known = ~np.isnan(cases.score)
    score, real = np.clip(cases.score[known], 0.0, 1.0), cases.real[known]
    return {
        "n": len(real),
        "accuracy": round(float(real.mean()), 4),
        "mean_confidence": round(float(score.mean()), 4),
        "ece": round(ece(score, real, bins), 4),
        "ece_by_chance": _ece_by_chance(score, bins),
        "bins": bins,
        "brier": round(float(np.mean((score - real) ** 2)), 6),
        "nll": round(_nll(np.stack([1 - score, score], axis=1), real.astype(np.int64)), 6),
        "reliability": reliability(score, real, bins),
        "few": int(real.sum()) < FEW,
    }


def calibration(predictions: Predictions, bins: int = BINS) -> dict[str, Any] | None:
    """`fields`: `field_calibration` of each label with probabilities, None where no row has them; `any_risk`:
    `alarm_calibration`. None if no label has any."""
    if not predictions.probabilities:
        return None
    return {
        "fields": {
            field.name: field_calibration(*_known(predictions, field.name), bins=bins) for field in predictions.fields
        },
        "any_risk": alarm_calibration(predictions, bins),
    }


def heated(table: Floats, temperature: float) -> Floats:
    """Probabilities (m x values, NaN rows stay) as p^(1/T), brought to a sum of 1: what dividing the logits by T does
    (C. Guo et al. 2017). The likeliest value stays the likeliest."""
    with np.errstate(divide="ignore"):
        logs = np.log(table) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def fit(table: Floats, expected: Ints) -> dict[str, Any] | None:
    """The temperature of one label that makes the mean negative log-likelihood of m rows least, between LOWEST and
    HIGHEST. The loss is convex in 1/T, so what is found is the least. None for no row.

    `at_bound`: there is no least value in between. If every row is right, any lower temperature is better still, and 1
    is taken: a few rows of val without an error are no ground for certainty. If the rows are no better than chance it
    is HIGHEST.
    """
    if not len(expected):
        return None
    clipped = np.clip(table, TINY, 1.0)

    def loss(log_temperature: float) -> float:
        return _nll(heated(clipped, float(np.exp(log_temperature))), expected)

    low, high = float(np.log(LOWEST)), float(np.log(HIGHEST))
    found = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-5}).x)
    too_low = bool((table.argmax(axis=1) == expected).all()) or found - low < 1e-2
    return {
        "temperature": 1.0 if too_low else round(float(np.exp(found)), 4),
        "n": len(expected),
        "at_bound": too_low or high - found < 1e-2,
        "few": len(expected) < FEW,
    }


def temperatures(val: Predictions) -> dict[str, dict[str, Any]]:
    """label -> `fit` on the rows of val; labels without probabilities there are left out. Never fit on rows that are
    judged."""
    found = {field.name: fit(*_known(val, field.name)) for field in val.fields}
    return {name: of for name, of in found.items() if of is not None}


def scaled(predictions: Predictions, by: Mapping[str, float]) -> Predictions:
    """The rows with each label's probabilities at its temperature; labels without one stay. Labels given do not
    change."""
    if wrong := [name for name, temperature in by.items() if not 0 < temperature < np.inf]:
        raise UserError(
            f"the temperature of {wrong[0]} is not above 0", where="temperatures", instead="1 changes nothing"
        )
    return replace(
        predictions,
        probabilities={
            name: heated(table, by[name]) if name in by else table for name, table in predictions.probabilities.items()
        },
    )


def before_and_after(val: Predictions, held_out: Predictions, bins: int = BINS) -> dict[str, Any] | None:
    """The calibration of held-out rows as they are (`before`), and at the temperatures fitted on val (`after`;
    `temperatures`). Raises UserError if a row of val is among those held out, since then the figures would flatter.
    None if no held-out row has probabilities."""
    if both := sorted(set(val.ids.tolist()) & set(held_out.ids.tolist())):
        raise UserError(
            f"{len(both)} rows are both in val and held out, {both[0]} first",
            where="calibration",
            instead="temperatures fitted on rows that are not judged",
        )
    before = calibration(held_out, bins)
    if before is None:
        return None
    found = temperatures(val)
    after = calibration(scaled(held_out, {name: of["temperature"] for name, of in found.items()}), bins)
    return {"temperatures": found, "before": before, "after": after if found else None}
