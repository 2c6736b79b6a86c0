"""The main figures by source, theme and length: what looks good on the whole may be bad for some."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mindgauge.alarms import any_alarm_collapse, collapsed
from mindgauge.metrics import alarm_figures, exact_rows, field_figures, label_places
from mindgauge.predictions import Bools, Predictions
from mindgauge.shares import FEW

MAIN = ("n", "accuracy", "macro_f1", "qwk", "mae", "within1", "few", "absent")
ALARM = ("n", "support", "hits", "recall", "wilson", "false_alarm_rate", "few")


def main_figures(predictions: Predictions) -> dict[str, Any]:
    """The main figures of one part of the rows: `n`, `groups`, `few` (fewer than FEW rows), JSON validity, exact match,
    any-risk recall, and of each label accuracy, macro-F1 and, if it is ordinal, QWK, MAE and within-1
    (metrics.field_figures). A part whose reference lacks values (`absent`) has means over fewer: such figures are not
    comparable between parts."""
    n = len(predictions)
    cases = collapsed(predictions, any_alarm_collapse(predictions.scheme)) if n else None
    alarm = alarm_figures(cases.real, cases.found) if cases else None
    fields = {}
    for field in predictions.fields:
        places = label_places(predictions, field.name)
        if len(places[0]):
            of = field_figures(field, *places)
            fields[field.name] = {name: of[name] for name in MAIN if name in of}
    return {
        "n": n,
        "groups": len(np.unique(predictions.groups)),
        "few": n < FEW,
        "json_valid": round(float(predictions.valid.mean()), 4) if n else None,
        "exact_match": round(float(exact_rows(predictions).mean()), 4) if n and predictions.common else None,
        "any_risk": {name: alarm[name] for name in ALARM} if alarm else None,
        "fields": fields,
    }


def by(predictions: Predictions, parts: Mapping[str, Bools]) -> dict[str, dict[str, Any]]:
    """part -> `main_figures` of the rows in its mask (n), parts in the order given; a row may be in several or none."""
    return {name: main_figures(predictions.take(mask)) for name, mask in parts.items()}


def by_word(predictions: Predictions, words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The parts that one word a row makes, such as its source, in the order of the words."""
    found = np.asarray(words, dtype=np.str_)
    return by(predictions, {str(word): found == word for word in np.unique(found)})


def length_bands(predictions: Predictions) -> dict[str, Bools]:
    """The rows in four bands of length, cut at the quartiles of these rows: `low-high` (characters, both included) ->
    mask. Rows of equal length are never parted, so bands may be fewer and uneven."""
    if not len(predictions):
        return {}
    lengths = predictions.lengths
    place = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75]), lengths)
    found = {}
    for number in np.unique(place):
        inside: Bools = place == number
        found[f"{lengths[inside].min()}-{lengths[inside].max()}"] = inside
    return found


def breakdown(predictions: Predictions) -> dict[str, dict[str, dict[str, Any]]]:
    """`source`, `theme` and `length` -> part -> `main_figures`. A row of several themes counts in each; one of none in
    none."""
    themes = sorted({theme for of in predictions.themes for theme in of})
    return {
        "source": by_word(predictions, predictions.sources.tolist()),
        "theme": by(
            predictions,
            {theme: np.array([theme in of for of in predictions.themes], dtype=np.bool_) for theme in themes},
        ),
        "length": by(predictions, length_bands(predictions)),
    }
