import json

import numpy as np
import pytest
import sklearn.metrics
from prediction_rows import drawn, labels, row

from mindgauge import comparing, metrics, predictions, reporting, verdict
from mindgauge.errors import UserError
from mindgauge.files import read_json, write_jsonl


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
    def row(number, text, of):
        return {
            "id": str(number),
            "group": str(number),
            "source": "s",
            "themes": [],
            "input": text,
            "output": json.dumps(of),
        }

    train = [
        row(n, "我很难过，一直很低落" if n % 3 else "今天打球很开心", labels(2 if n % 3 else 0)) for n in range(12)
    ]
    sets = {"train": train, "val": train[6:9], "test": train[:6], "gold": train[9:], "other_view": train[:6]}
    for name, of in sets.items():
        write_jsonl(tmp_path / f"{name}.jsonl", of)
    # The labeller answered one gold row of three.
    write_jsonl(tmp_path / "gold_labels.jsonl", [{"id": train[9]["id"], "labels": labels(0)}])
    options = {"false_alarms": 0.1, "urgent": ["suicidal"], "labels": scheme.to_dict()}
    comparing.compare(tmp_path, tmp_path / "gold_labels.jsonl", tmp_path / "out", **options)
    majority, tfidf, labeller = (
        read_json(tmp_path / f"out/{name}/metrics.json") for name in ("majority", "tfidf", "labeller")
    )
    of = verdict.figures_of(majority, "test")
    assert of["fields"]["depression_level"]["accuracy"] == pytest.approx(4 / 6, abs=1e-4)
    assert verdict.figures_of(tfidf, "test")["exact_match"] == 1.0
    assert reporting.better_than_majority(scheme, tfidf, majority) == ["depression_level"]
    assert verdict.figures_of(labeller, "test") is None
    assert verdict.figures_of(labeller, "gold")["json_valid"] == pytest.approx(1 / 3, abs=1e-4)


def table(pairs):
    """(reference, given) of depression alone."""
    return [labels(given) if given is not None else None for _, given in pairs], [labels(real) for real, _ in pairs]


# By hand: confusion (rows: reference 0, 1, 2; columns 0, 1, 2) [[5, 1, 0], [1, 2, 1], [0, 0, 2]], and one of 2
# unparsable.
PAIRS = [
    *[(0, 0)] * 5,
    (0, 1),
    (1, 0),
    *[(1, 1)] * 2,
    (1, 2),
    *[(2, 2)] * 2,
    (2, None),
]


def test_every_figure_of_a_label_by_hand(scheme):
    of = metrics.summary(scheme, *table(PAIRS))["fields"]["depression_level"]
    assert of["confusion"][:3] == [[5, 1, 0, 0, 0], [1, 2, 1, 0, 0], [0, 0, 2, 0, 1]]
    assert (of["n"], of["accuracy"]) == (13, round(9 / 13, 4))
    assert of["balanced_accuracy"] == round((5 / 6 + 2 / 4 + 2 / 3) / 3, 4)
    assert of["macro_f1"] == round((10 / 12 + 4 / 7 + 4 / 6) / 3, 4)
    # What cannot be parsed counts as 0, the value farthest from 2.
    assert of["mae"] == round(5 / 13, 4) and of["within1"] == round(12 / 13, 4)
    # Observed disagreement 1 + 1 + 1 + 4 = 7; by chance from rows 6, 4, 3 and columns 7, 3, 3.
    by_chance = (6 * (3 * 1 + 3 * 4) + 4 * (7 * 1 + 3 * 1) + 3 * (7 * 4 + 3 * 1)) / 13
    assert of["qwk"] == round(1 - 7 / by_chance, 4)
    value = of["per_value"]["1"]
    assert (value["support"], value["given"], value["hits"]) == (4, 3, 2)
    assert (value["precision"], value["recall"], value["f1"]) == (0.6667, 0.5, round(4 / 7, 4))
    assert of["absent"] == [3] and of["few_values"] == [0, 1, 2] and of["few"] and value["few"]


def test_ten_cases_are_not_few(scheme):
    of = metrics.summary(scheme, [labels()] * 19, [labels(0)] * 10 + [labels(1)] * 9)["fields"]["depression_level"]
    assert of["few_values"] == [1] and not of["per_value"]["0"]["few"] and of["per_value"]["1"]["few"]


def test_figures_as_the_libraries_have_them(scheme):
    random = np.random.default_rng(3)
    references, answers = ([drawn(scheme, random) for _ in range(400)] for _ in range(2))
    answers = [real if random.random() < 0.5 else given for real, given in zip(references, answers, strict=True)]
    found = metrics.summary(scheme, answers, references)["fields"]
    for field in scheme.fields:
        real, given = ([str(of[field.name]) for of in rows] for rows in (references, answers))
        of = found[field.name]
        assert of["accuracy"] == round(sklearn.metrics.accuracy_score(real, given), 4)
        assert of["balanced_accuracy"] == round(sklearn.metrics.balanced_accuracy_score(real, given), 4)
        assert of["macro_f1"] == round(sklearn.metrics.f1_score(real, given, average="macro"), 4)
        if field.kind == "ordinal":
            kappa = sklearn.metrics.cohen_kappa_score(real, given, weights="quadratic")
            assert of["qwk"] == round(kappa, 4)
            assert of["mae"] == round(sklearn.metrics.mean_absolute_error([*map(int, real)], [*map(int, given)]), 4)
        assert not of["few"] and of["absent"] == []


def test_a_constant_answer_has_the_figures_that_are_known(scheme):
    references = [labels(n % 4, 0, "none" if n % 4 else "suicidal", 5) for n in range(80)]
    found = metrics.summary(scheme, [labels()] * 80, references)
    of = found["fields"]["depression_level"]
    assert (of["accuracy"], of["balanced_accuracy"], of["qwk"], of["macro_f1"]) == (0.25, 0.25, 0.0, 0.1)
    assert (found["any_risk"]["recall"], found["any_risk"]["precision"]) == (0.0, None)
    # All of one value: agreement says nothing, and a kappa of 1 would flatter.
    assert found["fields"]["anxiety_level"]["accuracy"] == 1.0 and found["fields"]["anxiety_level"]["qwk"] is None
    assert any("anxiety_level: no row of the reference is 1, 2, 3" in note for note in found["notes"])


def test_random_answers_are_no_better_than_chance(scheme):
    random = np.random.default_rng(1)
    references, answers = ([drawn(scheme, random) for _ in range(4000)] for _ in range(2))
    found = metrics.summary(scheme, answers, references)
    of = found["fields"]["student_distress_score"]
    assert of["accuracy"] == pytest.approx(0.1, abs=0.02) and of["qwk"] == pytest.approx(0.0, abs=0.05)
    # E|a - b| of two even draws of 0 to 9 is 3.3; of 100 pairs 28 are at most one apart.
    assert of["mae"] == pytest.approx(3.3, abs=0.12) and of["within1"] == pytest.approx(0.28, abs=0.03)
    assert found["exact_match"] == pytest.approx(1 / 640, abs=0.003)


def test_urgent_counts_another_alarm_as_missed(scheme):
    references = [labels(risk=risk) for risk in ("suicidal", "self_harm", "violence", "none")]
    answers = [labels(risk=risk) for risk in ("violence", "suicidal", "violence", "self_harm")]
    found = metrics.summary(scheme, answers, references)
    assert (found["any_risk"]["recall"], found["any_risk"]["false_alarm_rate"]) == (1.0, 1.0)
    urgent = found["urgent"]
    assert (urgent["support"], urgent["hits"], urgent["false_alarms"], urgent["n"]) == (2, 1, 1, 4)
    assert urgent["precision"] == urgent["recall"] == urgent["f1"] == urgent["false_alarm_rate"] == 0.5


def scored(scheme, cases):
    """Rows with a risk or none, and the probability of an alarm."""
    rows = []
    for number, (real, p) in enumerate(cases):
        shares = {"none": 1 - p, "suicidal": p, "self_harm": 0.0, "violence": 0.0}
        given = labels(risk="suicidal" if p > 0.5 else "none")
        rows.append(
            row(number, labels(risk="suicidal" if real else "none"), given, probabilities={"risk_flag": shares})
        )
    return predictions.from_rows(scheme, rows)


def test_what_the_probabilities_rank_by_hand(scheme):
    """Cases at .9, .6, .3; others at .7, .2, .2, .1, .1: 13 of 15 pairs are in order."""
    cases = [(True, 0.9), (True, 0.6), (True, 0.3), *((False, p) for p in (0.7, 0.2, 0.2, 0.1, 0.1))]
    found = metrics.overall(scored(scheme, cases), false_alarm_rate=0.1, recall=0.6)["ranking"]["any_risk"]
    assert found["roc_auc"] == round(13 / 15, 4) and found["prevalence"] == 0.375 and found["few"]
    assert found["average_precision"] == round((1 + 2 / 3 + 3 / 4) / 3, 4)
    # At most one false alarm in ten of five rows is none: only .9 lies above the others' highest.
    assert found["at_false_alarm_rate"] == {
        "bound": 0.1,
        "recall": 0.3333,
        "false_alarm_rate": 0.0,
        "threshold": 0.9,
        "wilson": metrics.wilson(1, 3),
    }
    assert (found["at_recall"]["recall"], found["at_recall"]["false_alarm_rate"]) == (0.6667, 0.2)
    assert found["at_recall"]["threshold"] == pytest.approx(0.6)
    # One in five is on the bound, and then all three are found without a further false alarm.
    at = metrics.overall(scored(scheme, cases), false_alarm_rate=0.2)["ranking"]["any_risk"]["at_false_alarm_rate"]
    assert (at["recall"], at["false_alarm_rate"], at["threshold"]) == (1.0, 0.2, pytest.approx(0.3))


def test_ranking_of_planted_predictors(scheme):
    random = np.random.default_rng(2)
    real = random.random(600) < 0.2
    best = metrics.overall(scored(scheme, [(r, 0.9 if r else 0.1) for r in real]))["ranking"]["any_risk"]
    assert best["roc_auc"] == best["average_precision"] == best["at_false_alarm_rate"]["recall"] == 1.0
    worst = metrics.overall(scored(scheme, [(r, 0.1 if r else 0.9) for r in real]))["ranking"]["any_risk"]
    assert worst["roc_auc"] == 0.0 and worst["at_recall"]["false_alarm_rate"] == 1.0
    assert worst["at_false_alarm_rate"]["recall"] == 0.0 and worst["at_false_alarm_rate"]["threshold"] is None
    constant = metrics.overall(scored(scheme, [(r, 0.4) for r in real]))["ranking"]["any_risk"]
    assert constant["roc_auc"] == 0.5 and constant["average_precision"] == constant["prevalence"]
    chance = metrics.overall(scored(scheme, [(r, random.random()) for r in real]))["ranking"]["any_risk"]
    assert chance["roc_auc"] == pytest.approx(0.5, abs=0.07)


def test_ranking_without_cases_is_not_defined(scheme):
    found = metrics.overall(scored(scheme, [(False, 0.3), (False, 0.1)]))
    assert found["ranking"]["any_risk"]["roc_auc"] is None and found["ranking"]["any_risk"]["few"]
    assert found["any_risk"]["recall"] is None and found["any_risk"]["wilson"] is None
    assert any("risk_flag: no row of the reference is suicidal, self_harm, violence" in n for n in found["notes"])


def test_no_row_at_all_is_said_and_is_strict_json(scheme):
    found = metrics.overall(predictions.from_rows(scheme, []))
    assert found["notes"] == ["There is no row: no figure is defined."]
    assert (found["n"], found["exact_match"], found["json_valid"], found["any_risk"]) == (0, None, None, None)
    json.dumps(found, allow_nan=False)


def test_each_label_is_judged_on_the_rows_that_have_it(scheme):
    rows = [row(1, labels(2), labels(2)), row(2, {"risk_flag": "none"}, labels(1)), row(3, {"risk_flag": "none"}, None)]
    found = metrics.overall(predictions.from_rows(scheme, rows))
    assert found["fields"]["depression_level"]["n"] == 1 and found["fields"]["risk_flag"]["n"] == 3
    assert found["exact_match_of"] == ["risk_flag"] and found["exact"] == 2
    assert any("depression_level: the reference of 1 of 3 rows has it" in note for note in found["notes"])


def test_stop_rate_and_validity_are_counts_too(scheme):
    found = metrics.summary(scheme, [labels(), None], [labels(), labels()], [True, False])
    assert (found["valid"], found["stopped"], found["json_valid"], found["stop_rate"]) == (1, 1, 0.5, 0.5)
    with pytest.raises(UserError, match="out of range"):
        metrics.summary(scheme, [labels(4)], [labels()])
