import pytest

from mindgauge import comparing, metrics, reporting
from mindgauge.files import read_json, write_jsonl


def labels(depression=0, anxiety=0, risk="none", distress=0):
    return {
        "depression_level": depression,
        "anxiety_level": anxiety,
        "risk_flag": risk,
        "student_distress_score": distress,
    }


def test_wilson_as_published():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662 by the score method."""
    assert metrics.wilson(81, 263) == [0.2553, 0.3662]
    assert metrics.wilson(0, 0) is None and metrics.wilson(0, 20)[0] == 0.0


def test_perfect_answers(scheme):
    references = [labels(n % 4, n % 3, ["none", "suicidal"][n % 2], n % 10) for n in range(20)]
    found = metrics.summary(scheme, references, references, [True] * 20)
    assert found["exact_match"] == found["json_valid"] == found["stop_rate"] == 1.0
    assert all(of["macro_f1"] == 1.0 for of in found["fields"].values())
    assert found["fields"]["depression_level"]["qwk"] == 1.0 and found["any_risk"]["recall"] == 1.0


def test_what_cannot_be_parsed_is_wrong_in_every_figure(scheme):
    references = [labels(n % 4, 0, "suicidal", 9) for n in range(8)]
    found = metrics.summary(scheme, [None] * 8, references)
    assert found["json_valid"] == found["exact_match"] == 0.0 and found["any_risk"]["miss_rate"] == 1.0
    for of in found["fields"].values():
        assert of["accuracy"] == of["macro_f1"] == 0.0 and sum(row[-1] for row in of["confusion"]) == 8
    assert found["fields"]["student_distress_score"]["mae"] == 9.0


def test_macro_f1_by_hand(scheme):
    references = [labels(0), labels(0), labels(1), labels(1)]
    found = metrics.summary(scheme, [labels(0), labels(1), labels(1), labels(2)], references)
    of = found["fields"]["depression_level"]
    # 0: precision 1, recall 1/2, F1 2/3; 1: precision 1/2, recall 1/2, F1 1/2
    assert of["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-4)
    assert of["mae"] == 0.5 and of["within1"] == 1.0 and of["accuracy"] == 0.5


def test_another_alarm_counts_as_found_and_false_ones_are_counted(scheme):
    references = [labels(risk="suicidal"), labels(risk="violence"), labels(), labels()]
    found = metrics.summary(
        scheme, [labels(risk="self_harm"), labels(), labels(risk="suicidal"), labels()], references
    )["any_risk"]
    assert (found["support"], found["recall"], found["false_alarms"], found["false_alarm_rate"]) == (2, 0.5, 1, 0.5)


def test_labels_the_gold_does_not_have_are_left_out(scheme):
    found = metrics.summary(scheme, [labels()], [{"risk_flag": "none"}])
    assert list(found["fields"]) == ["risk_flag"] and found["exact_match"] == 1.0


def test_baselines(tmp_path, scheme):
    import json

    def row(number, text, of):
        return {"id": str(number), "input": text, "output": json.dumps(of)}

    train = [
        row(n, "我很难过，一直很低落" if n % 3 else "今天打球很开心", labels(2 if n % 3 else 0)) for n in range(12)
    ]
    for name, of in {"train": train, "test": train[:6], "gold": []}.items():
        write_jsonl(tmp_path / f"{name}.jsonl", of)
    comparing.compare(tmp_path, tmp_path, scheme.to_dict())
    majority, tfidf = (read_json(tmp_path / f"{name}.json") for name in ("majority", "tfidf"))
    assert majority["fields"]["depression_level"]["accuracy"] == pytest.approx(4 / 6, abs=1e-4)
    assert tfidf["exact_match"] == 1.0 and tfidf["gold"] is None
    assert reporting.better_than_majority(scheme, tfidf, majority) == ["depression_level"]
