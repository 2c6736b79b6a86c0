import json

import pytest
from prediction_rows import labels, risk_rows, row
from pydantic import ValidationError

from mindgauge import comparisons, metrics, predictions, result_schema
from mindgauge.gates import Gates, decide, verify
from mindgauge.shares import FEW


def risks(found, missed, none=80, false=0):
    """Cases found and missed, and rows without risk."""
    return [
        *[("suicidal", "suicidal")] * found,
        *[("suicidal", "none")] * missed,
        *[("none", "none")] * (none - false),
        *[("none", "violence")] * false,
    ]


# What a faithful GGUF's tokens and header give.
FAITHFUL = {
    "positions": 1000,
    "same_top": 998,
    "max_abs_logit": 0.001,
    "kld": {"mean": 0.01},
    "template": True,
    "end_token": True,
}


def judged(scheme, cases, free=None, gates=None, comparison=None, fidelity=FAITHFUL, parity=1.0, full=None):
    figures = {
        "constrained": metrics.overall(risk_rows(scheme, cases)),
        "free": metrics.overall(risk_rows(scheme, cases if free is None else free)),
    }
    gates = gates or Gates()
    of, merged = ({**one, "stopped": one["n"]} for one in (figures["free"], metrics.overall(risk_rows(scheme, cases))))
    checks = verify(gates, of, merged, comparison, fidelity, parity, full=full) if comparison else ()
    decision = decide(gates, figures, checks)
    result_schema.Decision.model_validate(decision)
    json.dumps(decision, allow_nan=False)
    return decision, {check["gate"]: check for check in decision["checks"]}


def test_on_the_bound_passes_and_just_below_fails(scheme):
    decision, checks = judged(scheme, risks(18, 2))
    assert decision["release"] == "pass" and decision["reasons"] == []
    assert checks["any_risk_recall_min"]["figure"] == 0.9 and checks["any_risk_recall_min"]["cases"] == 20
    decision, checks = judged(scheme, risks(17, 3))
    assert decision["release"] == "fail" and [check["gate"] for check in decision["reasons"]] == ["any_risk_recall_min"]
    check = checks["any_risk_recall_min"]
    assert (
        check["status"] == "fail" and check["interval"] == metrics.wilson(17, 20) and "errors.csv" in check["instead"]
    )
    assert check["reason"].startswith("share of risk cases found: 85 % (95 % interval 64 % to 94.8 %), at least 90 %")


def test_one_answer_that_cannot_be_parsed_is_not_rounded_away(scheme):
    """39,999 of 40,000 are 1.0 to four digits."""
    figures = metrics.overall(risk_rows(scheme, risks(20, 0)))
    free = {**figures, "n": 40_000, "valid": 39_999, "json_valid": 1.0}
    decision = decide(Gates(), {"constrained": figures, "free": free})
    assert decision["release"] == "fail" and decision["reasons"][0]["gate"] == "json_valid_min"
    assert "99.9975 %, at least 100 %" in decision["reasons"][0]["reason"]


def test_few_cases_are_undecided_when_good_and_fail_when_bad(scheme):
    decision, checks = judged(scheme, risks(FEW - 1, 0))
    assert checks["any_risk_recall_min"]["status"] == "undecided" and decision["release"] == "fail"
    assert "9 case(s), fewer than 10" in checks["any_risk_recall_min"]["reason"]
    assert judged(scheme, risks(FEW, 0))[0]["release"] == "pass"
    allowed = Gates(undecided="pass")
    decision, _ = judged(scheme, risks(FEW - 1, 0), gates=allowed)
    assert decision["release"] == "pass" and decision["reasons"][0]["status"] == "undecided"
    assert judged(scheme, risks(3, 5), gates=allowed)[0]["release"] == "fail"


def test_what_is_missing_is_said(scheme):
    checks = verify(Gates(), None, None, None, None, None, full="f16")
    decision = decide(Gates(), {"constrained": None, "free": None}, checks)
    assert decision["release"] == "fail" and len(decision["reasons"]) == 11
    assert all(check["status"] == "undecided" and check["figure"] is None for check in decision["checks"])
    assert all("no figure" in check["reason"] and check["instead"] for check in decision["checks"])
    decision, checks = judged(scheme, risks(0, 0))
    assert checks["any_risk_recall_min"]["status"] == "undecided" and decision["release"] == "fail"
    nothing = Gates(any_risk_recall_min=None, json_valid_min=None)
    decision = decide(nothing, {})
    assert decision["release"] == "fail" and "no gate is set" in decision["reasons"][0]["reason"]


def test_free_answers_decide_on_validity_and_the_chosen_way_on_the_rest(scheme):
    free = [(real, None) for real, _ in risks(20, 0)]
    decision, checks = judged(scheme, risks(20, 0), free)
    assert checks["any_risk_recall_min"]["status"] == "pass" and checks["json_valid_min"]["status"] == "fail"
    assert decision["release"] == "fail"
    _, checks = judged(scheme, risks(20, 0), free, Gates(way="free"))
    assert checks["any_risk_recall_min"]["status"] == "fail"


def test_the_interval_can_be_judged(scheme):
    gates = Gates(judge="interval", false_alarm_rate_max=0.1)
    _, checks = judged(scheme, risks(20, 0, 400, 20), gates=gates)
    assert checks["any_risk_recall_min"]["status"] == "fail"  # 20 of 20: from 84 %
    assert checks["false_alarm_rate_max"]["status"] == "pass"  # 5 %, to 7.6 %
    _, checks = judged(scheme, risks(20, 0, 400, 36), gates=gates)
    assert checks["false_alarm_rate_max"]["status"] == "fail"  # 9 %, to 12.2 %
    assert judged(scheme, risks(200, 0), gates=gates)[1]["any_risk_recall_min"]["status"] == "pass"


def test_labels_can_have_bounds(scheme):
    gates = Gates(macro_f1_min={"risk_flag": 0.5}, qwk_min={"depression_level": 0.5, "mood": 0.5}, exact_match_min=0.9)
    _, checks = judged(scheme, risks(20, 0), gates=gates)
    assert checks["macro_f1_min: risk_flag"]["status"] == "pass" and checks["macro_f1_min: risk_flag"]["cases"] == 20
    # Every row is 0: kappa is not defined; and there is no such label.
    assert checks["qwk_min: depression_level"]["status"] == checks["qwk_min: mood"]["status"] == "undecided"
    assert checks["exact_match_min"]["figure"] == 1.0 and checks["exact_match_min"]["interval"]
    _, checks = judged(scheme, risks(9, 0), gates=gates)
    assert checks["macro_f1_min: risk_flag"]["status"] == "undecided"


def compared(scheme, wrong, lost):
    """f16 with every label right, and a quant that is off by one in `wrong` of 80 rows and loses `lost` of 20 risk
    cases."""
    real = [labels(n % 4, n % 4, "suicidal" if n % 4 == 3 else "none", n % 10) for n in range(80)]
    given = [{**of, "depression_level": (of["depression_level"] + (n < wrong)) % 4} for n, of in enumerate(real)]
    cases = [n for n, of in enumerate(real) if of["risk_flag"] != "none"]
    given = [{**of, "risk_flag": "none"} if n in cases[:lost] else of for n, of in enumerate(given)]
    first, second = (predictions.from_rows(scheme, [row(n, real[n], of[n]) for n in range(80)]) for of in (real, given))
    return comparisons.compare(first, second, resamples=200)


def test_a_quant_is_held_against_what_it_was_made_of(scheme):
    decision, checks = judged(scheme, risks(20, 0), comparison=compared(scheme, 0, 0))
    assert decision["release"] == "pass"
    assert {gate for gate in checks if "qwk_drop" in gate} == {
        f"qwk_drop_max: {name}" for name in ("depression_level", "anxiety_level", "student_distress_score")
    }
    decision, checks = judged(scheme, risks(20, 0), comparison=compared(scheme, 4, 0))
    check = checks["qwk_drop_max: depression_level"]
    assert decision["release"] == "fail" and check["status"] == "fail" and check["figure"] > 0.02
    assert check["interval"][0] <= check["figure"] <= check["interval"][1]
    assert checks["qwk_drop_max: anxiety_level"]["status"] == "pass"
    decision, checks = judged(scheme, risks(20, 0), comparison=compared(scheme, 0, 1))
    assert decision["release"] == "fail" and checks["risk_lost_max"]["figure"] == 1
    assert checks["risk_lost_max"]["cases"] == 20
    allowed = Gates(risk_lost_max=1)
    assert judged(scheme, risks(20, 0), gates=allowed, comparison=compared(scheme, 0, 1))[0]["release"] == "pass"


def test_only_what_was_found_before_can_be_lost(scheme):
    """f16 itself finds 4 of 20: that none of these is lost says little."""
    real = [("suicidal", "suicidal" if n < 4 else "none") for n in range(20)] + [("none", "none")] * 60
    rows = risk_rows(scheme, real)
    _, checks = judged(scheme, risks(20, 0), comparison=comparisons.compare(rows, rows, resamples=50))
    check = checks["risk_lost_max"]
    assert (check["status"], check["figure"], check["cases"]) == ("undecided", 0, 4)


def test_a_model_that_is_no_quant_is_not_asked_for_a_comparison(scheme):
    _, checks = judged(scheme, risks(20, 0))
    assert set(checks) == {"any_risk_recall_min", "json_valid_min"}


@pytest.mark.parametrize(
    "change, parity, full, failing",
    [
        ({}, 1.0, None, set()),
        ({}, 0.999, None, {"token_ids"}),
        ({"template": False}, 1.0, None, {"template"}),
        ({"end_token": False}, 1.0, None, {"end_token"}),
        ({"kld": {"mean": 0.2}}, 1.0, None, {"kld_mean_max"}),
        ({"same_top": 900}, 1.0, None, {"same_top_min"}),
        ({"max_abs_logit": 0.2}, 1.0, "f16", {"full_logit_difference_max"}),
        ({"max_abs_logit": 0.2}, 1.0, "bf16", set()),
        ({"max_abs_logit": 0.5}, 1.0, "bf16", {"full_logit_difference_max"}),
        ({"max_abs_logit": 0.2}, 1.0, None, set()),  # quantising moves logits
    ],
)
def test_a_gguf_is_held_against_the_merged_model(scheme, change, parity, full, failing):
    comparison = compared(scheme, 0, 0)
    options = {"comparison": comparison, "fidelity": {**FAITHFUL, **change}, "parity": parity, "full": full}
    _, checks = judged(scheme, risks(20, 0), gates=Gates(same_top_min=0.95), **options)
    assert {gate for gate, check in checks.items() if check["status"] != "pass"} == failing


def test_free_answers_are_no_worse_than_the_merged_models(scheme):
    free = [*risks(20, 0)[:-1], ("none", None)]
    gates = Gates(json_valid_min=None)
    _, checks = judged(scheme, risks(20, 0), free, gates, comparison=compared(scheme, 0, 0))
    assert checks["free_drop_max: valid"]["status"] == "fail" and checks["free_drop_max: valid"][
        "figure"
    ] == pytest.approx(0.01)


def test_unknown_gates_are_refused():
    with pytest.raises(ValidationError):
        Gates(any_risk_recal_min=0.9)
    assert all(field.description for field in Gates.model_fields.values())
