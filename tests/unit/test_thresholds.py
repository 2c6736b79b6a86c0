import numpy as np
import pytest
from prediction_rows import labels, row

from mindgauge import metrics, predictions
from mindgauge.alarms import any_alarm_collapse
from mindgauge.errors import UserError
from mindgauge.thresholds import chosen_on_val, thresholds


def scored(scheme, cases):
    """Rows of (a case?, probability of an alarm; None: no probabilities); every answer says none."""
    rows = []
    for number, (real, p) in enumerate(cases):
        shares = None
        if p is not None:
            shares = {"risk_flag": {"none": 1 - p, "suicidal": p, "self_harm": 0.0, "violence": 0.0}}
        reference = labels(risk="suicidal" if real else "none")
        rows.append(row(number, reference, labels(), probabilities=shares))
    return predictions.from_rows(scheme, rows)


def test_the_threshold_is_vals_and_the_alarms_are_the_judged_rows(scheme):
    """On val .6 finds both cases with one false alarm of four (a bound of one in four); at .6 test finds one case of three, and
    raises two false alarms of four. Read off test itself, three of three would be found."""
    val = scored(scheme, [(True, 0.9), (True, 0.6), (False, 0.7), (False, 0.2), (False, 0.1), (False, 0.1)])
    test = scored(scheme, [(True, 0.8), (True, 0.5), (True, 0.5), *((False, p) for p in (0.9, 0.65, 0.1, 0.1))])
    found = chosen_on_val(val, test, any_alarm_collapse(scheme), 0.25)
    assert found["threshold"] == pytest.approx(0.6) and found["bound"] == 0.25 and found["few"]
    assert found["val"] == {"n": 6, "support": 2, "recall": 1.0, "false_alarm_rate": 0.25}
    judged = found["judged"]
    assert (judged["hits"], judged["support"], judged["false_alarms"]) == (1, 3, 2)
    assert judged["wilson"] == metrics.wilson(1, 3)


def test_never_yes_raises_no_alarm_and_a_row_without_probabilities_none(scheme):
    val = scored(scheme, [(True, 0.1), *((False, 0.9) for _ in range(4))])
    found = chosen_on_val(val, scored(scheme, [(True, 0.9), (False, 0.5)]), any_alarm_collapse(scheme), 0.1)
    assert found["threshold"] is None and found["judged"]["given"] == 0
    val = scored(scheme, [(True, 0.9), (False, 0.1)])
    found = chosen_on_val(val, scored(scheme, [(True, None), (True, 0.95)]), any_alarm_collapse(scheme), 0.1)
    assert (found["judged"]["hits"], found["judged"]["support"]) == (1, 2)


def test_without_val_or_cases_there_is_no_threshold(scheme):
    test = scored(scheme, [(True, 0.9), (False, 0.1)])
    assert thresholds(None, test) == {"any_risk": None, "urgent": None}
    assert thresholds(scored(scheme, [(False, 0.1)] * 3), test)["any_risk"] is None
    assert thresholds(test, scored(scheme, [(True, None)]))["any_risk"] is None
    with pytest.raises(UserError, match=r"evaluate\.urgent"):
        thresholds(test, test, urgent=["none"])


def test_a_threshold_from_val_keeps_its_false_alarm_rate_on_other_rows_of_the_same_kind(scheme):
    random = np.random.default_rng(5)

    def drawn(n):
        real = random.random(n) < 0.3
        return scored(scheme, [(bool(r), float(random.beta(4, 2) if r else random.beta(2, 4))) for r in real])

    found = chosen_on_val(drawn(1500), drawn(1500), any_alarm_collapse(scheme), 0.1)["judged"]
    assert found["false_alarm_rate"] == pytest.approx(0.1, abs=0.03) and found["recall"] > 0.3
