"""Figures of a set of answers against a reference. An answer that cannot be parsed counts as wrong, never as missing.

What a reader must know beside a figure stands with it: `few` where it hangs on a class of fewer than FEW cases,
`absent` values that the reference does not have, and `notes`. None stands where a figure is not defined.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from mindgauge.alarms import Cases, any_alarm_collapse, collapsed, urgent_collapse
from mindgauge.labels import Field, Scheme, Value
from mindgauge.predictions import Bools, Ints, Predictions, from_answers
from mindgauge.shares import FEW, wilson

Labels = dict[str, Value]


def _share(hits: int, n: int) -> float | None:
    return round(hits / n, 4) if n else None


def farthest(field: Field) -> list[int]:
    """For each value of a label, by place, the place farthest from it: what an answer that cannot be parsed counts as
    in kappa and MAE. Of two equally far the lower."""
    last = len(field.values) - 1
    return [0 if place >= last - place else last for place in range(last + 1)]


def field_figures(field: Field, expected: Ints, given: Ints) -> dict[str, Any]:
    """The figures of one label on n > 0 rows: places among its values, `len(values)` where the answer cannot be parsed.

    Macro-F1 and balanced accuracy (the mean recall) are means over the values that the reference has; `absent` names
    the others, `few_values` those with fewer than FEW cases. `confusion`: reference values x given values and a last
    column of what cannot be parsed. For an ordinal label QWK is Cohen's kappa with quadratic weights on the places (J.
    Cohen 1968), None where reference and answers are all of one value; MAE is in units of the values; within-1 counts
    places. There an answer that cannot be parsed counts as the value farthest from the reference.
    """
    values = list(field.values)
    n, size = len(expected), len(values)
    present = np.unique(expected)
    precision, recall, f1, support = precision_recall_fscore_support(
        expected, given, labels=range(size), zero_division=0
    )
    table = confusion_matrix(expected, given, labels=range(size + 1))[:size]
    chosen, hits = table.sum(axis=0), np.diag(table)
    found: dict[str, Any] = {
        "n": n,
        "accuracy": round(int(hits.sum()) / n, 4),
        "balanced_accuracy": round(float(np.mean(recall[present])), 4),
        "macro_f1": round(float(np.mean(f1[present])), 4),
        "values": values,
        "absent": [value for place, value in enumerate(values) if place not in present],
        "few_values": [values[place] for place in present if support[place] < FEW],
        "few": bool(min(support[present]) < FEW),
        "confusion": table.tolist(),
        "per_value": {
            str(value): {
                "precision": round(float(precision[place]), 4),
                "recall": round(float(recall[place]), 4),
                "f1": round(float(f1[place]), 4),
                "support": int(support[place]),
                "hits": int(hits[place]),
                "wilson": wilson(int(hits[place]), int(support[place])),
                "given": int(chosen[place]),
                "precision_wilson": wilson(int(hits[place]), int(chosen[place])),
                "few": bool(support[place] < FEW),
            }
            for place, value in enumerate(values)
        },
    }
    if field.kind == "ordinal":
        parsed = given < size
        numeric = np.where(parsed, given, np.array(farthest(field))[expected])
        kappa = (
            cohen_kappa_score(expected, numeric, labels=range(size), weights="quadratic")
            if len(np.union1d(expected, numeric)) > 1
            else np.nan
        )
        scale = np.array(values, dtype=np.float64)
        found |= {
            "qwk": round(float(kappa), 4) if isfinite(kappa) else None,
            "mae": round(float(np.abs(scale[numeric] - scale[expected]).mean()), 4),
            "within1": round(float((parsed & (np.abs(given - expected) <= 1)).mean()), 4),
        }
    return found


def field_metrics(field: Field, answers: Sequence[Labels | None], references: Sequence[Labels]) -> dict[str, Any]:
    """`field_figures` of answers (None: cannot be parsed) and references that all have the label."""
    places = {value: place for place, value in enumerate(field.values)}
    return field_figures(
        field,
        np.array([places[reference[field.name]] for reference in references], dtype=np.int64),
        np.array([len(places) if answer is None else places[answer[field.name]] for answer in answers], dtype=np.int64),
    )


def raises_alarm(alarms: Sequence[Field], labels: Mapping[str, Value] | None) -> bool:
    """Does one of the labels `alarms` stand on another value than its safe one? An answer that cannot be parsed raises
    none."""
    return labels is not None and any(labels[field.name] != field.safe for field in alarms)


def alarm_figures(real: Bools, found: Bools) -> dict[str, Any]:
    """Of n rows, yes or no by the reference and by the answer: recall and miss rate of the `support` real cases,
    precision of the `given` alarms, `false_alarm_rate` among the rows without a case, each with Wilson's interval."""
    n, support, given = len(real), int(real.sum()), int(found.sum())
    hits = int((real & found).sum())
    false = given - hits
    return {
        "n": n,
        "support": support,
        "hits": hits,
        "recall": _share(hits, support),
        "wilson": wilson(hits, support),
        "miss_rate": _share(support - hits, support),
        "miss_wilson": wilson(support - hits, support),
        "given": given,
        "precision": _share(hits, given),
        "precision_wilson": wilson(hits, given),
        # 2 hits / (cases + alarms): precision and recall in one, 0 where neither is a hit
        "f1": _share(2 * hits, support + given),
        "false_alarms": false,
        "false_alarm_rate": _share(false, n - support),
        "false_alarm_wilson": wilson(false, n - support),
        "few": support < FEW,
    }


def any_alarm(scheme: Scheme, answers: Sequence[Labels | None], references: Sequence[Labels]) -> dict[str, Any] | None:
    """Recall of the cases in which the reference raises an alarm of any class (an answer that raises another class's
    counts as found), the miss rate, and how often an alarm is false. None if no reference has a label that can."""
    cases = collapsed(from_answers(scheme, answers, references), any_alarm_collapse(scheme))
    return alarm_figures(cases.real, cases.found) if cases else None


def ranking(cases: Cases, false_alarm_rate: float, recall: float) -> dict[str, Any] | None:
    """What the probability of yes tells, whatever threshold the answer used: ROC-AUC, average precision (`prevalence`
    is what chance gives), the highest recall at a false-alarm rate of at most `false_alarm_rate`, and the lowest
    false-alarm rate at a recall of at least `recall` (shares, 0 to 1), each with its threshold: yes from that
    probability up, None: never yes.

    Both are read off the rows themselves, so they flatter; thresholds.py has those chosen on val. Rows without
    probabilities are left out and counted (`without`). None if no row has any; figures are None where the rows hold no
    case, or nothing else.
    """
    if cases.score is None:
        return None
    known = ~np.isnan(cases.score)
    real, score = cases.real[known], cases.score[known]
    n, support = len(real), int(real.sum())
    found: dict[str, Any] = {
        "n": n,
        "without": int((~known).sum()),
        "support": support,
        "prevalence": round(support / n, 4),
        "roc_auc": None,
        "average_precision": None,
        "at_false_alarm_rate": None,
        "at_recall": None,
        "few": support < FEW or n - support < FEW,
    }
    if 0 < support < n:
        rates, recalls, thresholds = roc_curve(real, score, drop_intermediate=False)

        def point(place: int) -> dict[str, Any]:
            threshold = float(thresholds[place])
            return {
                "recall": round(float(recalls[place]), 4),
                "false_alarm_rate": round(float(rates[place]), 4),
                "threshold": threshold if isfinite(threshold) else None,
                "wilson": wilson(round(float(recalls[place]) * support), support),
            }

        # Both rise along the curve. The first of equal recalls has the fewer false alarms. Float noise must not lose a
        # point that lies on the bound.
        within = np.flatnonzero(rates <= false_alarm_rate + 1e-12)[-1]
        first = int(np.flatnonzero(recalls == recalls[within])[0])
        enough = int(np.flatnonzero(recalls >= recall - 1e-12)[0])
        found |= {
            "roc_auc": round(float(roc_auc_score(real, score)), 4),
            "average_precision": round(float(average_precision_score(real, score)), 4),
            "at_false_alarm_rate": {"bound": false_alarm_rate, **point(first)},
            "at_recall": {"bound": recall, **point(enough)},
        }
    return found


def exact_rows(predictions: Predictions) -> Bools:
    """Which answers have every label right that all references have (n); none where they share no label."""
    common = predictions.common
    if not common:
        return np.zeros(len(predictions), dtype=np.bool_)
    found: Bools = np.logical_and.reduce(
        [predictions.given[field.name] == predictions.expected[field.name] for field in common]
    )
    return found


def label_places(predictions: Predictions, name: str) -> tuple[Ints, Ints]:
    """Places by the reference and by the answer on the rows whose reference has the label."""
    held = predictions.has(name)
    return predictions.expected[name][held], predictions.given[name][held]


def _notes(predictions: Predictions, figures: Mapping[str, Any]) -> list[str]:
    """What follows from the rows for the figures, as sentences."""
    n = len(predictions)
    if not n:
        return ["There is no row: no figure is defined."]
    notes = []
    for name, of in figures["fields"].items():
        if of["n"] < n:
            notes.append(f"{name}: the reference of {of['n']} of {n} rows has it; its figures are of these.")
        if of["absent"]:
            values = ", ".join(map(str, of["absent"]))
            notes.append(
                f"{name}: no row of the reference is {values}; nothing is known of that, and means leave it out."
            )
        if of["few_values"]:
            values = ", ".join(f"{value} ({of['per_value'][str(value)]['support']})" for value in of["few_values"])
            notes.append(
                f"{name}: fewer than {FEW} cases of {values}; its macro-F1 and balanced accuracy hang on these."
            )
    for key, title in (("any_risk", "any risk"), ("urgent", "urgent")):
        if (of := figures[key]) is not None and of["few"]:
            notes.append(f"{title}: {of['support'] or 'no'} case(s) in the reference; its recall says little.")
    if n and not predictions.common:
        notes.append("No label is in every reference: there is no exact match.")
    return notes


def overall(
    predictions: Predictions,
    *,
    urgent: Sequence[Value] | None = None,
    false_alarm_rate: float = 0.05,
    recall: float = 0.9,
) -> dict[str, Any]:
    """All figures of one set of rows against one reference, ready for strict JSON.

    `exact_match`: every label right that all references have (`exact_match_of` names them). `fields`: each label on the
    rows whose reference has it, see `field_figures`. `any_risk` and `urgent`: see `alarm_figures` (urgent: an answer
    that raises an alarm that is not urgent does not count as found). `ranking`: the same two from the probabilities,
    see `ranking`. `notes`: what follows from a class without cases, few cases, labels that only some references have,
    or no row at all. Raises UserError if a value in `urgent` raises no alarm.
    """
    n = len(predictions)
    valid, exact = int(predictions.valid.sum()), int(exact_rows(predictions).sum())
    whole = bool(predictions.common)
    scheme = predictions.scheme
    cases = {
        "any_risk": collapsed(predictions, any_alarm_collapse(scheme)),
        "urgent": collapsed(predictions, urgent_collapse(scheme, urgent)),
    }
    stopped = predictions.stopped
    found: dict[str, Any] = {
        "n": n,
        "groups": len(np.unique(predictions.groups)),
        "valid": valid,
        "json_valid": _share(valid, n),
        "stopped": int(stopped.sum()) if stopped is not None else None,
        "stop_rate": _share(int(stopped.sum()), n) if stopped is not None else None,
        "exact": exact if whole else None,
        "exact_match": _share(exact, n) if whole else None,
        "exact_match_wilson": wilson(exact, n) if whole else None,
        "exact_match_of": [field.name for field in predictions.common],
        "fields": {
            field.name: field_figures(field, *label_places(predictions, field.name)) for field in predictions.fields
        },
        **{name: alarm_figures(of.real, of.found) if of else None for name, of in cases.items()},
        "ranking": {
            name: ranking(of, false_alarm_rate, recall) if of and of.score is not None else None
            for name, of in cases.items()
        },
    }
    return {**found, "notes": _notes(predictions, found)}


def summary(
    scheme: Scheme,
    answers: Sequence[Labels | None],
    references: Sequence[Labels],
    stopped: Sequence[bool] | None = None,
) -> dict[str, Any]:
    """`overall` of answers (None: cannot be parsed) and references alone, in step. Raises UserError for values out of
    range."""
    return overall(from_answers(scheme, answers, references, stopped))
