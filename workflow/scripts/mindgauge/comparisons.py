"""Two variants on the same rows: paired tests, differences with intervals, flips of labels, and risk cases lost and
won.

`first` is what is compared with (f16, the base model), `second` what is looked at (a quant, the merged model);
differences are second minus first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from mindgauge.alarms import Cases, any_alarm_collapse, collapsed
from mindgauge.errors import UserError
from mindgauge.intervals import LEVEL, SEED, Sample, bootstrap, interval, tallies
from mindgauge.labels import Field
from mindgauge.metrics import exact_rows
from mindgauge.predictions import Bools, Predictions, check_ids
from mindgauge.shares import FEW

WHERE = "comparison"
# Which figures' differences are looked at: the alarms that are found, and of each label these.
DIFFERENCES = ("qwk", "macro_f1")
# More than an interval needs: no p-value lies below 2 / (RESAMPLES + 1), and a table corrects for some hundred of them.
RESAMPLES = 10_000


def aligned(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    """Both in the order of the ids. Raises UserError if they are not of the same rows: another scheme, other ids, or
    the same ids with another reference or split group; or if there is no row."""
    if first.scheme != second.scheme:
        raise UserError(
            "the two were made with different label schemes",
            where=WHERE,
            instead="predictions of one config/labels.yaml",
        )
    if not len(first) and not len(second):
        raise UserError("there is no row to compare on", where=WHERE, instead="predictions of one held-out set")
    check_ids(second, first.ids.tolist(), WHERE)
    one, other = (of.take(np.argsort(of.ids)) for of in (first, second))
    differ = one.groups != other.groups
    for name in {**one.expected, **other.expected}:
        differ |= (
            one.expected[name] != other.expected[name]
            if name in one.expected and name in other.expected
            else np.ones(len(one), dtype=np.bool_)
        )
    if differ.any():
        raise UserError(
            f"{int(differ.sum())} ids have another reference or split group, {one.ids[differ][0]} first",
            where=WHERE,
            instead="predictions on the same held-out rows; labels or splits changed in between",
        )
    return one, other


def mcnemar(first: Bools, second: Bools) -> dict[str, Any]:
    """The exact test of Q. McNemar 1947 of two variants' right and wrong on the same n rows: under no difference the
    rows that only one has right fall to either with 1/2 (scipy.stats.binomtest, two-sided). p is 1 where no row
    differs. It takes rows as independent, which those of one split group are not: read it beside the bootstrap by
    group."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    return {
        "n": len(first),
        "only_first": only_first,
        "only_second": only_second,
        "p": float(binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0,
        "few": differing < FEW,
    }


def two_sided_p(difference: Sample) -> float | None:
    """The p-value of no difference that fits the percentile interval: twice the smaller share of resamples on or beyond
    0, with one added to both counts so that it is never 0 (Davison and Hinkley 1997, 4.4 and 5.3), at most 1.

    None if no resample has both figures, or if it hangs on fewer than FEW cases or groups: of five cases of which four
    are lost hardly a resample has none of the four, and p would be near 0 where the exact test of McNemar has 0.125.
    """
    known = difference.resampled[~np.isnan(difference.resampled)]
    if not len(known) or not np.isfinite(difference.estimate) or min(difference.cases, difference.groups) < FEW:
        return None
    low, high = int((known <= 0).sum()), int((known >= 0).sum())
    return min(1.0, 2 * (min(low, high) + 1) / (len(known) + 1))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for their number (S. Holm 1979), in their order: the i-th smallest of m times m - i + 1, never
    less than a smaller one's, at most 1. None (no test was possible) stays None and does not count."""
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    found: list[float | None] = [None] * len(values)
    least = 0.0
    for rank, (value, place) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - rank)))
        found[place] = least
    return found


def flips(field: Field, first: Predictions, second: Predictions) -> dict[str, Any]:
    """The answers of one label that differ, on all rows, whether the reference has the label or not: `counts` by
    direction (`a->b`, `unparsable` for what cannot be parsed), of an ordinal label `upward` and `downward` among those
    that both could be parsed, and, on the rows whose reference has the label, how many got `right_to_wrong`,
    `wrong_to_right`, or stayed wrong."""
    size = len(field.values)
    one, other = first.given[field.name], second.given[field.name]
    changed = one != other
    names = [*map(str, field.values), "unparsable"]
    pairs, counts = np.unique(np.stack([one[changed], other[changed]], axis=1), axis=0, return_counts=True)
    found: dict[str, Any] = {
        "n": len(one),
        "changed": int(changed.sum()),
        "counts": {f"{names[a]}->{names[b]}": int(count) for (a, b), count in zip(pairs.tolist(), counts, strict=True)},
    }
    if field.kind == "ordinal":
        both = (one < size) & (other < size)
        found |= {"upward": int((both & (other > one)).sum()), "downward": int((both & (other < one)).sum())}
    if field.name in first.expected:
        held = first.has(field.name) & changed
        was, now = (of.given[field.name] == of.expected[field.name] for of in (first, second))
        found |= {
            "right_to_wrong": int((held & was & ~now).sum()),
            "wrong_to_right": int((held & ~was & now).sum()),
            "wrong_to_wrong": int((held & ~was & ~now).sum()),
        }
    return found


def _alarms(predictions: Predictions) -> Cases | None:
    return collapsed(predictions, any_alarm_collapse(predictions.scheme))


def risk_changes(first: Predictions, second: Predictions) -> dict[str, Any] | None:
    """Of the rows with any risk (`support`) the ids that only the first finds (`lost`) and only the second (`won`), and
    of the others the false alarms that came (`new_false_alarms`) and went (`gone_false_alarms`). Both in the same
    order. None if no reference has a label that raises an alarm."""
    one, other = _alarms(first), _alarms(second)
    if one is None or other is None:
        return None
    ids, real = first.ids[one.rows], one.real

    def named(which: Bools) -> list[str]:
        return [str(name) for name in ids[which]]

    return {
        "support": int(real.sum()),
        "found_by_first": int((real & one.found).sum()),
        "found_by_second": int((real & other.found).sum()),
        "lost": named(real & one.found & ~other.found),
        "won": named(real & ~one.found & other.found),
        "new_false_alarms": named(~real & ~one.found & other.found),
        "gone_false_alarms": named(~real & one.found & ~other.found),
        "few": bool(real.sum() < FEW),
    }


def _tests(first: Predictions, second: Predictions) -> list[dict[str, Any]]:
    found = []
    if first.common:
        found.append({"what": "exact_match", **mcnemar(exact_rows(first), exact_rows(second))})
    for field in first.fields:
        held = first.has(field.name)
        was, now = (of.given[field.name] == of.expected[field.name] for of in (first, second))
        found.append({"what": field.name, **mcnemar(was[held], now[held])})
    one, other = _alarms(first), _alarms(second)
    if one is not None and other is not None and one.real.any():
        found.append({"what": "any_risk_found", **mcnemar(one.found[one.real], other.found[other.real])})
    return found


def _differences(first: Predictions, second: Predictions, resamples: int, seed: int, level: float) -> list[Any]:
    # The same groups and seed, hence the same resamples: the figures are paired.
    one, other = (bootstrap(tallies(of), resamples, seed) for of in (first, second))
    found = []
    for name in one:
        if name != "any_risk_recall" and name.rpartition("/")[2] not in DIFFERENCES:
            continue
        gap = other[name].minus(one[name])
        # The percentile interval, since the p-value is read off the same shares: it excludes 0 where p is below 1 -
        # level.
        bounds = interval(gap, "percentile", level)
        found.append(
            {
                "what": name,
                "first": _rounded(one[name].estimate),
                "second": _rounded(other[name].estimate),
                "difference": bounds.pop("estimate"),
                **bounds,
                "p": two_sided_p(gap),
            }
        )
    return found


def _rounded(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def compare(
    first: Predictions,
    second: Predictions,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> dict[str, Any]:
    """All that two variants differ in on the same rows, ready for strict JSON.

    `tests`: exact McNemar of the exact match, of each label's correctness, and of any risk found, with `p` and
    `p_holm`. `differences` of any-risk recall and of each label's QWK and macro-F1 (second minus first): paired
    bootstrap by group with interval, `p` (None with fewer than FEW cases, see `two_sided_p`) and `p_holm`. `flips`: see
    `flips`. `risk`: see `risk_changes`. Holm's correction is over the tests and differences of this comparison; of
    several comparisons at once, see `corrected`. With B resamples no bootstrap p is below 2 / (B + 1). Raises UserError
    if the two are not of the same rows, see `aligned`.
    """
    one, other = aligned(first, second)
    found = {
        "n": len(one),
        "groups": len(np.unique(one.groups)),
        "tests": _tests(one, other),
        "differences": _differences(one, other, resamples, seed, level),
        "flips": {field.name: flips(field, one, other) for field in one.scheme.fields},
        "risk": risk_changes(one, other),
    }
    return corrected([found])[0]


def corrected(comparisons: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The comparisons with `p_holm` over all their tests and differences as one family of `family` p-values: that of a
    whole table of variants, where the smallest of many p-values is small by chance."""
    found = [
        {**of, "tests": [*map(dict, of["tests"])], "differences": [*map(dict, of["differences"])]} for of in comparisons
    ]
    tested = [test for of in found for test in (*of["tests"], *of["differences"])]
    values = holm([test["p"] for test in tested])
    for test, value in zip(tested, values, strict=True):
        test["p_holm"] = value
    family = sum(value is not None for value in values)
    return [{**of, "family": family} for of in found]
