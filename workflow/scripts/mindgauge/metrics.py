"""Figures of a set of answers against a reference. An answer that cannot be parsed counts as wrong, never as missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_recall_fscore_support

from mindgauge.labels import Field, Scheme, Value

Labels = dict[str, Value]
Z95 = 1.959963984540054


def wilson(hits: int, n: int) -> list[float] | None:
    """Wilson's 95 % score interval of a proportion (E. B. Wilson 1927), or None where there is no case."""
    if n == 0:
        return None
    share, square = hits / n, Z95 * Z95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]


def field_metrics(field: Field, answers: Sequence[Labels | None], references: Sequence[Labels]) -> dict[str, Any]:
    """The figures of one label. Macro-F1 is the mean over the values the reference has; for an ordinal label an answer
    that cannot be parsed counts as far off as possible in MAE, and for kappa as the value farthest from the reference."""
    values = list(field.values)
    expected = [values.index(reference[field.name]) for reference in references]
    given = [None if answer is None else values.index(answer[field.name]) for answer in answers]
    farthest = [max((0, len(values) - 1), key=lambda place, e=e: abs(place - e)) for e in expected]  # type: ignore[misc]
    # A column of its own for what cannot be parsed, so that it is no value's prediction.
    places = [len(values) if g is None else g for g in given]
    numeric = [f if g is None else g for g, f in zip(given, farthest, strict=True)]
    n = len(expected)
    present = sorted(set(expected))
    precision, recall, f1, support = precision_recall_fscore_support(
        expected, places, labels=range(len(values)), zero_division=0
    )
    chosen = Counter(places)
    hits = Counter(e for e, p in zip(expected, places, strict=True) if e == p)
    found: dict[str, Any] = {
        "accuracy": round(sum(hits.values()) / n, 4),
        "macro_f1": round(sum(float(f1[place]) for place in present) / len(present), 4),
        "values": values,
        "confusion": confusion_matrix(expected, places, labels=range(len(values) + 1)).tolist()[: len(values)],
        "per_value": {
            str(value): {
                "precision": round(float(precision[place]), 4),
                "recall": round(float(recall[place]), 4),
                "f1": round(float(f1[place]), 4),
                "support": int(support[place]),
                "wilson": wilson(hits[place], int(support[place])),
                "given": chosen[place],
                "precision_wilson": wilson(hits[place], chosen[place]),
            }
            for place, value in enumerate(values)
        },
    }
    if field.kind == "ordinal":
        kappa = (
            cohen_kappa_score(expected, numeric, labels=range(len(values)), weights="quadratic")
            if len({*expected, *numeric}) > 1
            else 1.0
        )
        gaps = [abs(float(values[g]) - float(values[e])) for g, e in zip(numeric, expected, strict=True)]
        found |= {
            "qwk": round(float(kappa), 4),
            "mae": round(sum(gaps) / n, 4),
            "within1": round(
                sum(g is not None and abs(g - e) <= 1 for g, e in zip(given, expected, strict=True)) / n, 4
            ),
        }
    return found


def raises_alarm(alarms: Sequence[Field], labels: Mapping[str, Value] | None) -> bool:
    """Does one of the labels `alarms` stand on another value than its safe one? An answer that cannot be parsed raises none."""
    return labels is not None and any(labels[field.name] != field.safe for field in alarms)


def any_alarm(scheme: Scheme, answers: Sequence[Labels | None], references: Sequence[Labels]) -> dict[str, Any] | None:
    """Recall of the cases in which the reference raises an alarm of any class (an answer that raises another class's
    counts as found), the miss rate, and how often an alarm is false."""
    alarms = [field for field in scheme.alarms if all(field.name in reference for reference in references)]
    if not alarms:
        return None
    cases = [
        (raises_alarm(alarms, reference), raises_alarm(alarms, answer))
        for reference, answer in zip(references, answers, strict=True)
    ]
    support = sum(real for real, _ in cases)
    hits = sum(real and found for real, found in cases)
    false = sum(found and not real for real, found in cases)
    return {
        "support": support,
        "recall": round(hits / support, 4) if support else None,
        "miss_rate": round(1 - hits / support, 4) if support else None,
        "wilson": wilson(hits, support),
        "miss_wilson": wilson(support - hits, support),
        "false_alarms": false,
        "false_alarm_rate": round(false / (len(cases) - support), 4) if len(cases) > support else None,
    }


def summary(
    scheme: Scheme,
    answers: Sequence[Labels | None],
    references: Sequence[Labels],
    stopped: Sequence[bool] | None = None,
) -> dict[str, Any]:
    """All figures of one set of rows. Labels that the reference does not have in every row are left out."""
    n = len(references)
    fields = [
        field for field in scheme.fields if references and all(field.name in reference for reference in references)
    ]
    exact = sum(
        answer is not None and all(answer[f.name] == reference[f.name] for f in fields)
        for answer, reference in zip(answers, references, strict=True)
    )
    return {
        "n": n,
        "json_valid": round(sum(answer is not None for answer in answers) / n, 4) if n else None,
        "stop_rate": round(sum(stopped) / n, 4) if stopped is not None and n else None,
        "exact_match": round(exact / n, 4) if n else None,
        "fields": {field.name: field_metrics(field, answers, references) for field in fields},
        "any_risk": any_alarm(scheme, answers, references) if n else None,
    }
