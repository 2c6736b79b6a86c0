"""Prediction rows made up for tests: planted predictors whose figures are known."""

import numpy as np

from mindgauge import predictions
from mindgauge.labels import Scheme

DEFAULT = {"depression_level": 0, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 0}


def labels(depression=0, anxiety=0, risk="none", distress=0):
    return dict(zip(DEFAULT, (depression, anxiety, risk, distress), strict=True))


def row(number, reference, given, **change):
    """A row; each is a group of its own unless told otherwise."""
    return {
        "id": f"{number:016x}",
        "group": f"g{number}",
        "source": "a",
        "themes": [],
        "length": 100,
        "reference": reference,
        "labels": given,
        "probabilities": None,
        "stopped": None,
        **change,
    }


def sure(scheme: Scheme, given, p=1.0):
    """Probabilities that put `p` on the labels given, the rest evenly on the other values."""
    return {
        field.name: {
            str(value): p if value == given[field.name] else (1 - p) / (len(field.values) - 1) for value in field.values
        }
        for field in scheme.fields
    }


def drawn(scheme: Scheme, random: np.random.Generator):
    """Labels drawn evenly."""
    return {field.name: field.values[random.integers(len(field.values))] for field in scheme.fields}


def risk_rows(scheme, cases):
    """Rows from (reference risk, given risk) alone; None: cannot be parsed."""
    return predictions.from_rows(
        scheme,
        [
            row(n, labels(risk=real), None if given is None else labels(risk=given))
            for n, (real, given) in enumerate(cases)
        ],
    )
