"""Thresholds on the probability of an alarm: chosen on val, and what they do on the rows that are judged.

A threshold read off the judged rows themselves (metrics.ranking) flatters: it knows the answers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mindgauge.alarms import Collapse, any_alarm_collapse, collapsed, urgent_collapse
from mindgauge.labels import Value
from mindgauge.metrics import alarm_figures, ranking
from mindgauge.predictions import Predictions
from mindgauge.shares import FEW


def chosen_on_val(
    val: Predictions, judged: Predictions, collapse: Collapse, false_alarm_rate: float
) -> dict[str, Any] | None:
    """The threshold that finds the most cases of val at a false-alarm rate of at most `false_alarm_rate` (share, 0 to 1; the `bound`),
    and the alarms it raises among the judged rows. A row without probabilities raises none.

    `threshold`: yes from that probability up, None: never yes. `val`: rows, cases, recall and false-alarm rate there; `few`:
    fewer than FEW cases, or others, to choose it by. `judged`: metrics.alarm_figures. None without probabilities, or where val
    holds no case, or nothing else.
    """
    chosen, asked = collapsed(val, collapse), collapsed(judged, collapse)
    if chosen is None or asked is None or asked.score is None:
        return None
    ranked = ranking(chosen, false_alarm_rate, recall=1.0)
    if ranked is None or (point := ranked["at_false_alarm_rate"]) is None:
        return None
    threshold = point["threshold"]
    found = np.zeros(len(asked.real), dtype=np.bool_) if threshold is None else asked.score >= threshold
    return {
        "bound": false_alarm_rate,
        "threshold": threshold,
        "val": {name: ranked[name] for name in ("n", "support")}
        | {name: point[name] for name in ("recall", "false_alarm_rate")},
        "few": ranked["support"] < FEW or ranked["n"] - ranked["support"] < FEW,
        "judged": alarm_figures(asked.real, found),
    }


def thresholds(
    val: Predictions | None,
    judged: Predictions,
    *,
    urgent: Sequence[Value] | None = None,
    false_alarm_rate: float = 0.05,
) -> dict[str, Any]:
    """`chosen_on_val` of the two collapses, `any_risk` and `urgent`; None without rows of val. Raises UserError if a value in
    `urgent` raises no alarm."""
    collapses = {
        "any_risk": any_alarm_collapse(judged.scheme),
        "urgent": urgent_collapse(judged.scheme, urgent),
    }
    return {
        name: chosen_on_val(val, judged, collapse, false_alarm_rate) if val is not None else None
        for name, collapse in collapses.items()
    }
