"""Intervals by bootstrap over split groups. Rows of one group (re-written, near-duplicate, one story) are not
independent, so groups are drawn, never rows; intervals by row are too narrow (tests/unit/test_intervals.py shows by how
much).

A figure is a function of counts to which groups add up (confusion matrices, hits), so a resample is group weights @
counts, and all figures of a set of rows share their resamples. What is defined here in terms of such counts gives the
same number as metrics.py does from rows; a test holds the two together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from mindgauge.alarms import any_alarm_collapse, collapsed, urgent_collapse
from mindgauge.labels import Field, Value
from mindgauge.metrics import exact_rows, farthest
from mindgauge.predictions import Floats, Ints, Predictions
from mindgauge.shares import FEW

Method = Literal["bca", "percentile"]
# Counts in the last dimension -> the figure; NaN where it is not defined.
Figure = Callable[[Floats], Floats]
RESAMPLES, LEVEL, SEED = 2000, 0.95, 1
# With fewer groups than this, intervals by group are too narrow too (Cameron, Gelbach, Miller 2008, on few clusters).
FEW_GROUPS = 20
# A resample's weights are drawn for at most so many groups x resamples at once (8 bytes each).
CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts a group (groups x c, groups in the order of their names), and the figures that follow from their sums.
    `cases`: of each figure how many cases the rarest class has that it hangs on."""

    counts: Floats
    figures: Mapping[str, Figure]
    cases: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Sample:
    """One figure: on the rows as they are, in each resample, and with each group left out. NaN where it is not
    defined."""

    estimate: float
    resampled: Floats
    left_out: Floats
    cases: int
    groups: int

    def minus(self, other: "Sample") -> "Sample":
        """The difference of two figures of the same resamples."""
        return Sample(
            self.estimate - other.estimate,
            self.resampled - other.resampled,
            self.left_out - other.left_out,
            min(self.cases, other.cases),
            min(self.groups, other.groups),
        )


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below != 0)


def _share(counts: Floats) -> Floats:
    """Of counts [hits, cases]: hits / cases."""
    return _ratio(counts[..., 0], counts[..., 1])


def confusion_figures(field: Field) -> dict[str, Figure]:
    """The figures of one label as functions of its confusion matrix, laid flat: values x (values and what cannot be
    parsed).

    Definitions as in metrics.field_figures: macro-F1 and balanced accuracy are means over the values that the
    (resampled) reference has, so a resample without a case of a value is a mean over fewer.
    """
    size = len(field.values)

    def matrix(flat: Floats) -> Floats:
        return flat.reshape(*flat.shape[:-1], size, size + 1)

    def diagonal(table: Floats) -> Floats:
        return np.diagonal(table[..., :size], axis1=-2, axis2=-1)

    def accuracy(flat: Floats) -> Floats:
        return _ratio(diagonal(matrix(flat)).sum(-1), flat.sum(-1))

    def balanced_accuracy(flat: Floats) -> Floats:
        table = matrix(flat)
        support = table.sum(-1)
        recall = diagonal(table) / np.maximum(support, 1)  # 0 where there is no case
        return _ratio(recall.sum(-1), (support > 0).sum(-1).astype(np.float64))

    def macro_f1(flat: Floats) -> Floats:
        table = matrix(flat)
        support, given = table.sum(-1), table[..., :size].sum(-2)
        f1 = 2 * diagonal(table) / np.maximum(support + given, 1)  # 0 where there is no case
        return _ratio(f1.sum(-1), (support > 0).sum(-1).astype(np.float64))

    found: dict[str, Figure] = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
    if field.kind != "ordinal":
        return found
    places, far = np.arange(size), np.array(farthest(field))
    gaps = (places[:, None] - places[None, :]) ** 2.0
    scale = np.array(field.values, dtype=np.float64)
    distance = np.abs(scale[:, None] - scale[None, :])
    distance = np.hstack([distance, distance[places, far][:, None]])
    near = np.hstack([np.abs(places[:, None] - places[None, :]) <= 1, np.zeros((size, 1), dtype=np.bool_)])

    def qwk(flat: Floats) -> Floats:
        table = matrix(flat)
        numeric = table[..., :size].copy()
        # What cannot be parsed is moved to the value farthest from the reference.
        numeric[..., places, far] += table[..., size]
        observed = (gaps * numeric).sum((-2, -1))
        rows, columns, n = numeric.sum(-1), numeric.sum(-2), flat.sum(-1)
        by_chance = np.einsum("...i,ij,...j->...", rows, gaps, columns)
        return 1 - _ratio(observed * n, by_chance)

    def mae(flat: Floats) -> Floats:
        return _ratio((distance * matrix(flat)).sum((-2, -1)), flat.sum(-1))

    def within1(flat: Floats) -> Floats:
        return _ratio((near * matrix(flat)).sum((-2, -1)), flat.sum(-1))

    return {**found, "qwk": qwk, "mae": mae, "within1": within1}


def _summed(places: Ints, rows: Ints, columns: Ints, shape: tuple[int, int]) -> Floats:
    """Counts groups x c of rows that stand in group `places[rows]` and in column `columns`."""
    flat = np.bincount(places[rows] * shape[1] + columns, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)


def _hits(places: Ints, rows: Ints, hit: Ints, groups: int, name: str) -> Tally:
    counts = np.stack(
        [
            np.bincount(places[rows], weights=hit.astype(np.float64), minlength=groups),
            np.bincount(places[rows], minlength=groups).astype(np.float64),
        ],
        axis=1,
    )
    return Tally(counts, {name: _share}, {name: len(rows)})


def tallies(predictions: Predictions, urgent: Sequence[Value] | None = None) -> list[Tally]:
    """The headline figures: `exact_match`, `any_risk_recall`, `urgent_recall`, `any_risk_false_alarm_rate`, and for
    each label `<label>/accuracy`, `…/balanced_accuracy`, `…/macro_f1`, and of ordinal ones `…/qwk`, `…/mae`,
    `…/within1`, each on the rows whose reference has the label. Those without a row are left out. Raises UserError if a
    value in `urgent` raises no alarm."""
    names, places = np.unique(predictions.groups, return_inverse=True)
    groups = len(names)
    everything = np.arange(len(predictions))
    found = []
    if len(predictions) and predictions.common:
        found.append(_hits(places, everything, exact_rows(predictions).astype(np.int64), groups, "exact_match"))
    scheme = predictions.scheme
    for name, collapse in (("any_risk", any_alarm_collapse(scheme)), ("urgent", urgent_collapse(scheme, urgent))):
        cases = collapsed(predictions, collapse)
        if cases is None:
            continue
        real = cases.real
        found.append(_hits(places, cases.rows[real], cases.found[real].astype(np.int64), groups, f"{name}_recall"))
        if name == "any_risk":
            hit = cases.found[~real].astype(np.int64)
            found.append(_hits(places, cases.rows[~real], hit, groups, f"{name}_false_alarm_rate"))
    for field in predictions.fields:
        rows, size = np.flatnonzero(predictions.has(field.name)), len(field.values)
        expected, given = predictions.expected[field.name][rows], predictions.given[field.name][rows]
        counts = _summed(places, rows, expected * (size + 1) + given, (groups, size * (size + 1)))
        support = np.bincount(expected, minlength=size)
        rarest = int(support[support > 0].min())
        found.append(
            Tally(
                counts,
                {f"{field.name}/{name}": figure for name, figure in confusion_figures(field).items()},
                {
                    f"{field.name}/{name}": rarest if name in ("macro_f1", "balanced_accuracy") else len(rows)
                    for name in confusion_figures(field)
                },
            )
        )
    return found


def bootstrap(of: Sequence[Tally], resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, Sample]:
    """Each figure in `resamples` bootstrap resamples of the groups (as many groups, with replacement: B. Efron 1979;
    whole groups: Davison and Hinkley 1997, 3.8) and with each group left out (jackknife). The same number of groups and
    the same seed give the same resamples, so that samples of two variants on the same rows are paired."""
    if not of:
        return {}
    groups = len(of[0].counts)
    random = np.random.default_rng(seed)
    sums: list[list[Floats]] = [[] for _ in of]
    size = max(1, CHUNK // groups)
    for start in range(0, resamples, size):
        weights = random.multinomial(groups, np.full(groups, 1 / groups), size=min(size, resamples - start))
        for kept, tally in zip(sums, of, strict=True):
            kept.append(weights.astype(np.float64) @ tally.counts)
    found = {}
    for kept, tally in zip(sums, of, strict=True):
        resampled, whole = np.concatenate(kept), tally.counts.sum(axis=0)
        without = whole - tally.counts
        touched = int((tally.counts.sum(axis=1) > 0).sum())
        for name, figure in tally.figures.items():
            found[name] = Sample(
                float(figure(whole[None])[0]), figure(resampled), figure(without), tally.cases[name], touched
            )
    return found


def bootstrap_rows(
    statistic: Callable[[Ints], float], groups: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED
) -> Sample:
    """Any statistic of the rows, given as positions (a row drawn twice stands twice): the same resamples as
    `bootstrap`, one call of `statistic` for each and one for each group left out, so use it for what has no counts.
    NaN: not defined."""
    names, places = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    members = [np.flatnonzero(places == place) for place in range(len(names))]
    random = np.random.default_rng(seed)

    def value(weights: Ints) -> float:
        drawn = [np.tile(members[place], weights[place]) for place in np.flatnonzero(weights)]
        return float(statistic(np.concatenate(drawn))) if drawn else float("nan")

    count = len(names)
    weights = (random.multinomial(count, np.full(count, 1 / count)) for _ in range(resamples))
    once = np.ones(count, dtype=np.int64)
    return Sample(
        value(once),
        np.array([value(of) for of in weights]),
        np.array([value(once - (np.arange(count) == place)) for place in range(count)]),
        len(places),
        count,
    )


def interval(sample: Sample, method: Method = "bca", level: float = LEVEL) -> dict[str, Any]:
    """The interval of one figure, ready for strict JSON: `estimate`, `low`, `high`, `level`, `method`, `resamples`,
    `undefined` (resamples in which the figure is not defined, such as the recall of a class without a case: they are
    left out), `groups` (that hold a row it hangs on), `cases`, `few`, and `note`: why there is no interval, or what
    weakens it.

    `percentile`: quantiles of the resamples. `bca`: bias-corrected and accelerated (B. Efron 1987; the formulas of
    Efron and Tibshirani 1993, 14.3), ties counted half as scipy.stats.bootstrap does, acceleration by jackknife over
    groups; where it is not defined, as when all resamples lie on one side of the estimate, `percentile` is taken and
    `method` says so. No interval (None) with fewer than two groups, or where every resample gives the same value: it
    would look exact and is not.
    """
    known = sample.resampled[~np.isnan(sample.resampled)]
    undefined = len(sample.resampled) - len(known)
    found: dict[str, Any] = {
        "estimate": round(sample.estimate, 6) if np.isfinite(sample.estimate) else None,
        "low": None,
        "high": None,
        "level": level,
        "method": None,
        "resamples": len(sample.resampled),
        "undefined": undefined,
        "groups": sample.groups,
        "cases": sample.cases,
        "few": sample.cases < FEW,
        "note": "",
    }
    if found["estimate"] is None:
        return {**found, "note": "the figure is not defined on these rows"}
    if sample.groups < 2:
        return {**found, "note": "fewer than two groups: nothing is known of how it varies between them"}
    if not len(known) or np.ptp(known) == 0:
        return {**found, "note": "every resample gives the same value: there is no interval from these rows"}
    notes = []
    used, shares = method, np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        corrected = _bca(sample.estimate, known, sample.left_out, shares)
        if corrected is None:
            used = "percentile"
            notes.append("BCa is not defined here (the estimate lies at the edge of the resamples)")
        else:
            shares = corrected
    low, high = np.quantile(known, shares)
    if undefined:
        notes.append(f"not defined in {undefined} resamples, which are left out")
    if sample.groups < FEW_GROUPS:
        notes.append(f"only {sample.groups} groups: it is likely too narrow")
    return {
        **found,
        "low": round(float(low), 6),
        "high": round(float(high), 6),
        "method": used,
        "note": "; ".join(notes),
    }


def _bca(estimate: float, known: Floats, left_out: Floats, shares: Floats) -> Floats | None:
    """The shares of the resamples at which BCa cuts, or None where it is not defined."""
    below = ((known < estimate).mean() + (known <= estimate).mean()) / 2
    left = left_out[~np.isnan(left_out)]
    if not 0 < below < 1 or len(left) < 2:
        return None
    bias = ndtri(below)
    gaps = left.mean() - left
    spread = (gaps**2).sum()
    acceleration = (gaps**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    moved = bias + ndtri(shares)
    # Beyond this pole the formula turns back on itself.
    if (1 - acceleration * moved <= 0).any():
        return None
    cut: Floats = ndtr(bias + moved / (1 - acceleration * moved))
    return cut


def headlines(
    predictions: Predictions,
    *,
    urgent: Sequence[Value] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    method: Method = "bca",
    level: float = LEVEL,
) -> dict[str, dict[str, Any]]:
    """figure -> interval, for the headline figures that `tallies` names; empty for no row."""
    return {
        name: interval(sample, method, level)
        for name, sample in bootstrap(tallies(predictions, urgent), resamples, seed).items()
    }
