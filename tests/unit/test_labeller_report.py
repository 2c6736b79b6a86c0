import json

import pytest

from mindgauge import metrics
from mindgauge.labeller_report import Compared, report


def full(depression=0, risk="none"):
    return {"depression_level": depression, "anxiety_level": 0, "risk_flag": risk, "student_distress_score": 0}


def rows():
    """Two sources: `sheet` has all labels, `posts` the risk alone."""
    return [
        Compared("sheet", full(1), full(1)),
        Compared("sheet", full(3, "suicidal"), full(2, "suicidal")),
        Compared("sheet", None, full(0)),
        *[Compared("posts", full(0, "suicidal"), {"risk_flag": "suicidal"})] * 3,
        Compared("posts", full(0, "none"), {"risk_flag": "suicidal"}),
        *[Compared("posts", full(0, "none"), {"risk_flag": "none"})] * 5,
        Compared("posts", full(0, "self_harm"), {"risk_flag": "none"}),
    ]


def test_the_figures_by_hand(scheme):
    found = report(scheme, rows())
    risk = found["fields"]["risk_flag"]
    # suicidal: of 5 found 4, all 4 given right; self_harm: given once, wrongly
    suicidal = risk["per_value"]["suicidal"]
    assert (suicidal["support"], suicidal["given"], suicidal["recall"], suicidal["precision"]) == (5, 4, 0.8, 1.0)
    assert suicidal["wilson"] == metrics.wilson(4, 5) and suicidal["precision_wilson"] == metrics.wilson(4, 4)
    assert risk["per_value"]["self_harm"]["precision_wilson"] == metrics.wilson(0, 1)
    assert risk["per_value"]["violence"]["precision_wilson"] is None
    assert found["n"] == risk["n"] == 13 and found["valid"] == 12
    assert (found["any_risk"]["support"], found["any_risk"]["recall"]) == (5, 0.8)
    assert found["any_risk"]["miss_wilson"] == metrics.wilson(1, 5)
    assert found["any_risk"]["false_alarms"] == 1
    json.dumps(found, allow_nan=False)


def test_each_label_is_measured_where_the_gold_has_it(scheme):
    found = report(scheme, rows())
    level = found["fields"]["depression_level"]
    # gaps 0, 1, and 3 for what is no answer
    assert (level["n"], level["mae"], level["within1"]) == (3, round(4 / 3, 4), round(2 / 3, 4))
    assert level["confusion"][0] == [0, 0, 0, 0, 1]
    assert list(found["sources"]) == ["posts", "sheet"] and list(found["sources"]["posts"]["fields"]) == ["risk_flag"]
    assert found["sources"]["sheet"]["any_risk"]["support"] == 1
    assert "corpus" not in found["fields"]["risk_flag"]


def test_a_stratified_sample_is_weighed_back_to_the_corpus(scheme):
    """1,000 records: the labeller found 8 of 10 cases, gave 2 false alarms. Audited: its 10 alarms, and 99 of 990 others."""
    alarms = [Compared("s", full(risk="suicidal"), full(risk=risk)) for risk in ["suicidal"] * 8 + ["none"] * 2]
    missed = [Compared("s", full(), full(risk="suicidal"), 0.1) for _ in range(1)]
    rest = [Compared("s", full(), full(), 0.1) for _ in range(98)]
    found = report(scheme, [*alarms, *missed, *rest])
    risk, corpus = found["fields"]["risk_flag"]["per_value"]["suicidal"], found["fields"]["risk_flag"]["corpus"]
    assert risk["recall"] == pytest.approx(8 / 9, abs=1e-4)  # of the sample: too high
    assert corpus["per_value"]["suicidal"] == {"precision": 0.8, "recall": round(8 / 18, 4)}
    assert found["any_risk"]["corpus"] == {"recall": round(8 / 18, 4), "miss_rate": round(10 / 18, 4)}
    assert corpus["n_effective"] == pytest.approx((10 + 990) ** 2 / (10 + 99 * 100), abs=0.1)


def test_no_row_is_no_figure(scheme):
    found = report(scheme, [])
    assert (found["n"], found["fields"], found["any_risk"], found["sources"]) == (0, {}, None, {})
