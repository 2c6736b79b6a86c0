import json

import numpy as np
import pytest
from prediction_rows import drawn, labels, risk_rows, row

from mindgauge import comparisons, predictions
from mindgauge.errors import UserError


def of_risks(scheme, cases):
    return risk_rows(scheme, cases)


def test_mcnemar_as_published():
    """The example of A. Agresti, Categorical Data Analysis (table 10.1): 150 and 86 differ; and by hand 1 of 6:
    2 (1 + 6) / 2^6."""
    found = comparisons.mcnemar(np.array([True] * 150 + [False] * 86), np.array([False] * 150 + [True] * 86))
    # z^2 = (150 - 86)^2 / (150 + 86) = 17.36, p = 3e-5; the exact test is close.
    assert found["p"] == pytest.approx(3.7e-5, rel=0.1) and not found["few"]
    small = comparisons.mcnemar(np.array([True] * 5 + [False] + [True] * 9), np.array([False] * 5 + [True] * 10))
    assert (small["n"], small["only_first"], small["only_second"]) == (15, 5, 1)
    assert small["p"] == pytest.approx(2 * (1 + 6) / 64) and small["few"]
    assert comparisons.mcnemar(np.array([True, False]), np.array([True, False]))["p"] == 1.0


def test_holm_as_published():
    """By hand, .01 .04 .03 .005: 4 x .005, 3 x .01, 2 x .03, and .04 raised to the one before; what R's p.adjust
    gives."""
    assert comparisons.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparisons.holm([0.5, None, 0.6]) == [1.0, None, 1.0]
    assert comparisons.holm([]) == []


def made(scheme, n, quality, seed, each=2):
    """Rows whose references are the same for every seed, right with chance `quality`."""
    references = np.random.default_rng(0)
    random = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        reference, other = drawn(scheme, references), drawn(scheme, random)
        given = {name: reference[name] if random.random() < quality else other[name] for name in reference}
        rows.append(row(number, reference, given, group=f"g{number // each}"))
    return rows


def test_a_better_variant_is_told_from_a_worse_and_from_itself(scheme):
    good, bad = (predictions.from_rows(scheme, made(scheme, 400, q, s)) for q, s in ((0.8, 1), (0.5, 2)))
    found = comparisons.compare(bad, good, resamples=500)
    json.dumps(found, allow_nan=False)
    assert {test["what"] for test in found["tests"]} == {"exact_match", "any_risk_found", *scheme.names}
    assert len(found["differences"]) == 1 + 4 + 3 and found["family"] == 14
    for of in found["differences"]:
        assert of["difference"] == pytest.approx(of["second"] - of["first"], abs=2e-6)
        assert (of["low"] > 0 or of["high"] < 0) == (of["p"] < 0.05) or abs(of["p"] - 0.05) < 0.01
        assert of["method"] == "percentile" and of["p"] >= 2 / 501 and of["p_holm"] >= of["p"]
    kappas = [of for of in found["differences"] if of["what"].endswith("qwk")]
    assert all(of["low"] > 0.05 and of["p"] == pytest.approx(2 / 501) for of in kappas)
    assert next(test for test in found["tests"] if test["what"] == "depression_level")["p_holm"] < 1e-6
    same = comparisons.compare(good, good, resamples=200)
    assert all(of["difference"] == 0 and of["p"] == 1.0 and of["low"] is None for of in same["differences"])
    assert all(test["p"] == 1.0 for test in same["tests"])
    assert all(of["changed"] == 0 for of in same["flips"].values()) and same["risk"]["lost"] == []


def test_no_difference_is_called_one_at_its_nominal_rate(scheme):
    """Two variants equally good: of 120 comparisons p < .05 in about 6 (the bound is what chance exceeds once in 1,000
    times)."""
    called = 0
    for repeat in range(120):
        one, other = (
            predictions.from_rows(scheme, made(scheme, 120, 0.6, seed)) for seed in (2 * repeat + 1, 2 * repeat + 2)
        )
        differences = comparisons._differences(one, other, 300, repeat, 0.95)
        called += next(of["p"] for of in differences if of["what"] == "student_distress_score/qwk") < 0.05
    assert called <= 15


def test_few_cases_have_no_bootstrap_p_since_it_would_be_near_0(scheme):
    rest = [("none", "none")] * 95
    one = of_risks(scheme, [*[("suicidal", "suicidal")] * 5, *rest])
    other = of_risks(scheme, [*[("suicidal", "none")] * 4, ("suicidal", "suicidal"), *rest])
    found = comparisons.compare(one, other, resamples=500)
    of = next(of for of in found["differences"] if of["what"] == "any_risk_recall")
    assert (of["difference"], of["p"], of["p_holm"], of["few"]) == (-0.8, None, None, True)
    test = next(test for test in found["tests"] if test["what"] == "any_risk_found")
    assert (test["p"], test["only_first"]) == (0.125, 4)
    # As many cases in as few groups are no better.
    gap = comparisons.Sample(0.5, np.full(100, 0.5), np.full(5, 0.5), 50, 5)
    assert comparisons.two_sided_p(gap) is None


def test_pairing_is_by_id_and_not_by_place(scheme):
    rows = made(scheme, 60, 0.7, 1)
    one = predictions.from_rows(scheme, rows)
    other = predictions.from_rows(scheme, rows[::-1])
    assert comparisons.compare(one, other, resamples=50) == comparisons.compare(one, one, resamples=50)


def test_other_rows_are_refused(scheme):
    rows = made(scheme, 6, 0.7, 1)
    one = predictions.from_rows(scheme, rows)
    further = predictions.from_rows(scheme, [*rows, row(99, labels(), labels())])
    with pytest.raises(UserError, match="1 predictions are for ids that are not held out"):
        comparisons.compare(one, further)
    with pytest.raises(UserError, match="1 of 7 held-out rows have no prediction"):
        comparisons.compare(further, one)
    for change in ({"reference": labels(3, 3, "violence", 9)}, {"group": "other"}):
        other = predictions.from_rows(scheme, [{**rows[0], **change}, *rows[1:]])
        with pytest.raises(UserError, match="another reference or split group, 0000000000000000 first"):
            comparisons.compare(one, other)
    with pytest.raises(UserError, match="ids have another reference"):
        comparisons.compare(
            one, predictions.from_rows(scheme, [{**of, "reference": {"risk_flag": "none"}} for of in rows])
        )
    empty = predictions.from_rows(scheme, [])
    with pytest.raises(UserError, match="no row to compare"):
        comparisons.compare(empty, empty)


def test_flips_have_a_direction(scheme):
    given = [(0, 1), (0, 1), (2, 1), (1, 1), (None, 3), (2, None)]
    first, second = (
        predictions.from_rows(
            scheme,
            [row(n, labels(1), None if pair[which] is None else labels(pair[which])) for n, pair in enumerate(given)],
        )
        for which in (0, 1)
    )
    found = comparisons.flips(scheme["depression_level"], first, second)
    assert found["counts"] == {"0->1": 2, "2->1": 1, "2->unparsable": 1, "unparsable->3": 1}
    assert (found["n"], found["changed"], found["upward"], found["downward"]) == (6, 5, 2, 1)
    assert (found["wrong_to_right"], found["right_to_wrong"], found["wrong_to_wrong"]) == (3, 0, 2)
    assert "upward" not in comparisons.flips(scheme["risk_flag"], first, second)


def test_risk_cases_lost_and_won_are_named(scheme):
    real = ["suicidal", "suicidal", "self_harm", "violence", "none", "none"]
    one = of_risks(scheme, zip(real, ["suicidal", "suicidal", "none", "none", "none", "violence"], strict=True))
    other = of_risks(scheme, zip(real, ["none", "violence", "self_harm", None, "suicidal", "none"], strict=True))
    found = comparisons.risk_changes(one, other)
    names = [f"{n:016x}" for n in range(6)]
    # Another class of risk is not lost: the alarm is still raised.
    assert (found["lost"], found["won"]) == ([names[0]], [names[2]])
    assert (found["new_false_alarms"], found["gone_false_alarms"]) == ([names[4]], [names[5]])
    assert (found["support"], found["found_by_first"], found["found_by_second"], found["few"]) == (4, 2, 2, True)


def test_a_family_of_several_comparisons(scheme):
    one, other = (predictions.from_rows(scheme, made(scheme, 300, q, s)) for q, s in ((0.6, 1), (0.62, 2)))
    alone = comparisons.compare(one, other, resamples=50)
    both = comparisons.corrected([alone, comparisons.compare(other, one, resamples=50)])
    assert alone["family"] == 14 and [of["family"] for of in both] == [28, 28]
    for before, after in zip(alone["tests"], both[0]["tests"], strict=True):
        assert after["p"] == before["p"] and after["p_holm"] >= before["p_holm"]


def test_gold_with_the_risk_alone(scheme):
    rows = [row(n, {"risk_flag": "suicidal" if n % 2 else "none"}, labels(n % 4, risk="none")) for n in range(20)]
    found = comparisons.compare(predictions.from_rows(scheme, rows), predictions.from_rows(scheme, rows), resamples=50)
    assert {test["what"] for test in found["tests"]} == {"exact_match", "risk_flag", "any_risk_found"}
    assert set(found["flips"]) == set(scheme.names) and "right_to_wrong" not in found["flips"]["anxiety_level"]
