"""All figures of one variant, one way of answering and one reference, from prediction rows alone: what a result record
holds, and what anyone can compute again from it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mindgauge.breakdown import breakdown
from mindgauge.calibration import BINS, before_and_after, calibration
from mindgauge.hashing import digest
from mindgauge.intervals import RESAMPLES, SEED, headlines
from mindgauge.labels import Value
from mindgauge.metrics import overall
from mindgauge.predictions import MISSING, Predictions
from mindgauge.thresholds import thresholds


def figures(
    predictions: Predictions,
    val: Predictions | None = None,
    *,
    urgent: Sequence[Value] | None = None,
    false_alarm_rate: float = 0.05,
    recall: float = 0.9,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    bins: int = BINS,
) -> dict[str, Any]:
    """metrics.overall, and `intervals` (intervals.headlines), `calibration` (calibration.before_and_after with the rows
    of `val`, without them `after` is None; None where there are no probabilities), `thresholds` (thresholds.thresholds,
    chosen on val) and `breakdown`. Ready for strict
    JSON and for result_schema.Figures. The same rows and arguments give the same figures; their order decides nothing.
    Raises UserError if a value in `urgent` raises no alarm, or a row of val is judged."""
    if val is not None:
        calibrated = before_and_after(val, predictions, bins)
    else:
        before = calibration(predictions, bins)
        calibrated = None if before is None else {"temperatures": {}, "before": before, "after": None}
    return {
        **overall(predictions, urgent=urgent, false_alarm_rate=false_alarm_rate, recall=recall),
        "intervals": headlines(predictions, urgent=urgent, resamples=resamples, seed=seed),
        "calibration": calibrated,
        "thresholds": thresholds(val, predictions, urgent=urgent, false_alarm_rate=false_alarm_rate),
        "breakdown": breakdown(predictions),
    }


def rows_sha256(predictions: Predictions) -> str:
    """What was judged, as 64 hex digits: ids, groups and references, in the order of the ids. Variants that were judged
    on the same rows have the same; the text is not in it, ids follow from it."""
    order = np.argsort(predictions.ids)
    names = [field.name for field in predictions.fields]
    return digest(
        [
            [
                str(predictions.ids[row]),
                str(predictions.groups[row]),
                {
                    name: predictions.scheme[name].values[predictions.expected[name][row]]
                    for name in names
                    if predictions.expected[name][row] != MISSING
                },
            ]
            for row in order
        ]
    )
