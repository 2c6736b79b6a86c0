import numpy as np
import pytest
import sklearn.calibration
from prediction_rows import labels, risk_rows, row, sure

from mindgauge import calibration, predictions
from mindgauge.errors import UserError


def planted(n, temperature, seed=0, values=4):
    """Probabilities (n x values), and outcomes drawn from them at `temperature`: cooled down, they are calibrated
    there."""
    random = np.random.default_rng(seed)
    true = random.dirichlet(np.ones(values) * 0.7, size=n)
    expected = (random.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(max=values - 1)
    return calibration.heated(true, 1 / temperature), expected


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_recovered(temperature):
    table, expected = planted(6000, temperature)
    found = calibration.fit(table, expected)
    assert found["temperature"] == pytest.approx(temperature, rel=0.06) and not found["at_bound"]
    before, after = (
        calibration.field_calibration(of, expected) for of in (table, calibration.heated(table, found["temperature"]))
    )
    assert after["accuracy"] == before["accuracy"]
    assert after["nll"] <= before["nll"] and after["ece"] <= after["ece_by_chance"][1] + 0.01
    if temperature != 1:
        assert before["ece"] > before["ece_by_chance"][1] and after["brier"] < before["brier"]


def test_figures_by_hand():
    """Four rows of two bins: confidences .6, .6 (one right), .9, .9 (both right)."""
    table = np.array([[0.6, 0.3, 0.1], [0.6, 0.4, 0.0], [0.05, 0.9, 0.05], [0.0, 0.1, 0.9]])
    found = calibration.field_calibration(table, np.array([0, 1, 1, 2]), bins=2)
    assert found["reliability"] == [
        {"low": 0.6, "high": 0.6, "confidence": 0.6, "accuracy": 0.5, "n": 2, "few": True},
        {"low": 0.9, "high": 0.9, "confidence": 0.9, "accuracy": 1.0, "n": 2, "few": True},
    ]
    assert found["ece"] == pytest.approx(0.1) and found["mean_confidence"] == 0.75 and found["accuracy"] == 0.75
    sums = [0.16 + 0.09 + 0.01, 0.36 + 0.36 + 0, 0.0025 + 0.01 + 0.0025, 0 + 0.01 + 0.01]
    assert found["brier"] == pytest.approx(sum(sums) / 4, abs=1e-6)
    assert found["nll"] == pytest.approx(-np.log([0.6, 0.4, 0.9, 0.9]).mean(), abs=1e-6)


def test_brier_of_two_values_is_on_the_same_scale():
    table = np.array([[0.8, 0.2], [0.4, 0.6]])
    assert calibration.field_calibration(table, np.array([0, 0]))["brier"] == pytest.approx((0.08 + 0.72) / 2)


def test_bins_are_those_of_scikit_learn():
    random = np.random.default_rng(5)
    confidence = random.random(500)
    right = random.random(500) < confidence**2
    shares, means = sklearn.calibration.calibration_curve(right, confidence, n_bins=10, strategy="quantile")
    table = calibration.reliability(confidence, right)
    assert [of["accuracy"] for of in table] == pytest.approx(shares, abs=1e-6)
    assert [of["confidence"] for of in table] == pytest.approx(means, abs=1e-6)
    assert all(of["n"] == 50 for of in table)
    assert calibration.ece(confidence, right) == pytest.approx(np.abs(shares - means).mean(), abs=1e-9)


def test_equal_confidences_are_never_parted_so_the_order_of_rows_says_nothing():
    confidence = np.array([0.5] * 30 + [0.9] * 3)
    right = np.array([True] * 15 + [False] * 15 + [True] * 3)
    table = calibration.reliability(confidence, right)
    assert [of["n"] for of in table] == [30, 3]
    assert calibration.ece(confidence[::-1], right[::-1]) == pytest.approx(calibration.ece(confidence, right))
    table, expected = planted(50, 1.0)
    first, last = (
        calibration.field_calibration(table, expected),
        calibration.field_calibration(table[::-1], expected[::-1]),
    )
    assert first["ece_by_chance"] == last["ece_by_chance"]


def rows_of(scheme, outcomes, p):
    """Rows that put `p` on what is given; `outcomes`: is it right?"""
    rows = []
    for number, right in enumerate(outcomes):
        given = labels(number % 4)
        reference = given if right else labels((number + 1) % 4)
        rows.append(row(number, reference, given, probabilities=sure(scheme, given, p)))
    return predictions.from_rows(scheme, rows)


def test_adversarially_confident(scheme):
    """Sure of what is always wrong: the worst there is."""
    of = calibration.calibration(rows_of(scheme, [False] * 40, 1.0))["fields"]["depression_level"]
    assert (of["ece"], of["brier"], of["accuracy"], of["mean_confidence"]) == (1.0, 2.0, 0.0, 1.0)
    assert of["nll"] == pytest.approx(-np.log(calibration.TINY), rel=1e-3)
    fit = calibration.temperatures(rows_of(scheme, [False] * 40, 0.97))["depression_level"]
    assert fit["temperature"] > 19 and fit["at_bound"]


def test_perfect_and_constant(scheme):
    best = calibration.calibration(rows_of(scheme, [True] * 40, 1.0))["fields"]["depression_level"]
    assert (best["ece"], best["brier"], best["nll"]) == (0.0, 0.0, 0.0)
    even = calibration.calibration(rows_of(scheme, [True, False] * 20, 0.5))["fields"]["depression_level"]
    assert even["ece"] == pytest.approx(0.0, abs=1e-9) and len(even["reliability"]) == 1
    # Nothing speaks against certainty, and nothing but these rows for it.
    fit = calibration.temperatures(rows_of(scheme, [True] * 40, 0.9))["depression_level"]
    assert fit == {"temperature": 1.0, "n": 40, "at_bound": True, "few": False}


def test_a_rare_alarm_has_a_calibration_of_its_own(scheme):
    """Always 2 % on risk while every fifth row has one: the label's own ECE hides it behind the confidence in no
    alarm."""
    rows = []
    for number in range(50):
        shares = {"none": 0.98, "suicidal": 0.02, "self_harm": 0.0, "violence": 0.0}
        reference = labels(risk="none" if number % 5 else "suicidal")
        rows.append(row(number, reference, labels(), probabilities={"risk_flag": shares}))
    of = calibration.calibration(predictions.from_rows(scheme, rows))["any_risk"]
    assert (of["accuracy"], of["mean_confidence"], of["ece"]) == (0.2, 0.02, 0.18) and not of["few"]
    assert of["brier"] == pytest.approx(0.2 * 0.98**2 + 0.8 * 0.02**2, abs=1e-6)


def test_val_is_never_judged_and_labels_stay(scheme):
    val = rows_of(scheme, [True, False] * 30, 0.9)
    with pytest.raises(UserError, match="both in val and held out"):
        calibration.before_and_after(val, val)
    held_out = predictions.from_rows(
        scheme,
        [
            row(100 + n, labels((n + n % 2) % 4), labels(n % 4), probabilities=sure(scheme, labels(n % 4), 0.9))
            for n in range(40)
        ],
    )
    found = calibration.before_and_after(val, held_out)
    assert found["temperatures"]["depression_level"]["temperature"] > 1.5
    before, after = (found[name]["fields"]["depression_level"] for name in ("before", "after"))
    assert after["ece"] < before["ece"] == pytest.approx(0.4) and after["accuracy"] == before["accuracy"]
    scaled = calibration.scaled(held_out, {"depression_level": 2.0})
    assert scaled.probabilities["depression_level"].sum(axis=1) == pytest.approx(1.0)
    assert (scaled.probabilities["risk_flag"] == held_out.probabilities["risk_flag"]).all()
    with pytest.raises(UserError, match="not above 0"):
        calibration.scaled(held_out, {"risk_flag": 0.0})


def test_without_probabilities_or_rows(scheme):
    assert calibration.calibration(risk_rows(scheme, [("none", "none")])) is None
    empty = predictions.from_rows(scheme, [])
    assert calibration.calibration(empty) is None and calibration.temperatures(empty) == {}
    rows = [row(0, {"risk_flag": "none"}, labels(), probabilities=sure(scheme, labels(), 0.8)), row(1, labels(), None)]
    of = calibration.calibration(predictions.from_rows(scheme, rows))["fields"]
    assert of["risk_flag"]["n"] == 1 and of["risk_flag"]["few"] and of["depression_level"] is None
