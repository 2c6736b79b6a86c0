import numpy as np
import pytest
from prediction_rows import labels, risk_rows, row, sure

from mindgauge import alarms, predictions
from mindgauge.errors import UserError
from mindgauge.figures import rows_sha256
from mindgauge.labels import Scheme


def test_rows_become_places(scheme):
    found = predictions.from_rows(
        scheme, [row(1, labels(2, 1, "violence", 9), labels(3, 1)), row(2, {"risk_flag": "self_harm"}, None)]
    )
    assert found.expected["depression_level"].tolist() == [2, predictions.MISSING]
    assert found.given["depression_level"].tolist() == [3, 4] and found.given["student_distress_score"][1] == 10
    assert found.expected["risk_flag"].tolist() == [3, 2] and found.valid.tolist() == [True, False]
    assert [field.name for field in found.common] == ["risk_flag"] and found.probabilities == {}


def test_probabilities_are_in_the_order_of_the_values_whatever_the_order_of_the_keys(scheme):
    given = {"risk_flag": {"violence": 0.1, "none": 0.6, "self_harm": 0.2, "suicidal": 0.1}}
    found = predictions.from_rows(scheme, [row(1, labels(), labels(), probabilities=given), row(2, labels(), labels())])
    assert list(found.probabilities) == ["risk_flag"]
    assert found.probabilities["risk_flag"][0] == pytest.approx([0.6, 0.1, 0.2, 0.1])
    assert np.isnan(found.probabilities["risk_flag"][1]).all()
    rounded = {"risk_flag": {"none": 0.3333, "suicidal": 0.3333, "self_harm": 0.3333, "violence": 0.0}}
    found = predictions.from_rows(scheme, [row(1, labels(), labels(), probabilities=rounded)])
    assert found.probabilities["risk_flag"][0][:3] == pytest.approx(1 / 3, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": ""}, "no id"),
        ({"group": None}, "no group"),
        ({"length": -1}, "no length"),
        ({"length": True}, "no length"),
        ({"text": "…"}, "unknown key 'text'"),
        ({"themes": "study"}, "themes"),
        ({"reference": {}}, "no label"),
        ({"reference": {"depression_level": 4}}, "out of range"),
        ({"reference": {"depression_level": True}}, "out of range"),
        ({"reference": {"mood": 1}}, "unknown label 'mood'"),
        ({"labels": {"depression_level": 1}}, "anxiety_level is missing"),
        ({"labels": labels(risk="suicide")}, "risk_flag is out of range"),
        ({"probabilities": {"risk_flag": {"none": 1.0}}}, "not of its values"),
        ({"probabilities": {"depression_level": {"0": 0.5, "1": 0.2, "2": 0.1, "3": 0.1}}}, "no distribution"),
        ({"probabilities": {"depression_level": {"0": 1.5, "1": -0.5, "2": 0, "3": 0}}}, "no distribution"),
        ({"probabilities": {"mood": {"0": 1.0}}}, "no label"),
        ({"stopped": "yes"}, "stopped"),
    ],
)
def test_what_is_wrong_in_a_row_is_named(scheme, change, said):
    with pytest.raises(UserError) as error:
        predictions.from_rows(scheme, [{**row(1, labels(), labels()), **change}], "predictions-f16.jsonl")
    assert said in error.value.what and "predictions-f16.jsonl" in error.value.where and error.value.instead


def test_two_ids_alike_and_ids_that_are_not_held_out(scheme):
    with pytest.raises(UserError, match="1 ids stand in several rows"):
        predictions.from_rows(scheme, [row(1, labels(), labels()), row(1, labels(), labels(1))])
    found = predictions.from_rows(scheme, [row(n, labels(), labels()) for n in (1, 2)])
    predictions.check_ids(found, found.ids.tolist())
    with pytest.raises(UserError, match="1 predictions are for ids that are not held out, 0000000000000002"):
        predictions.check_ids(found, [f"{1:016x}"])
    with pytest.raises(UserError, match="1 of 3 held-out rows have no prediction"):
        predictions.check_ids(found, [f"{n:016x}" for n in (1, 2, 3)])
    with pytest.raises(UserError, match="only some rows"):
        predictions.from_rows(scheme, [row(1, labels(), labels(), stopped=True), row(2, labels(), labels())])


def test_the_hash_is_of_what_was_judged_not_of_what_was_said(scheme):
    rows = [row(n, labels(n % 4), labels(n % 3)) for n in range(6)]
    first = rows_sha256(predictions.from_rows(scheme, rows))
    said = [{**of, "labels": None} for of in reversed(rows)]
    assert rows_sha256(predictions.from_rows(scheme, said)) == first
    for change in ({"reference": labels(3)}, {"group": "other"}, {"id": "f" * 16}):
        other = [{**rows[0], **change}, *rows[1:]]
        assert rows_sha256(predictions.from_rows(scheme, other)) != first


def test_taken_rows(scheme):
    rows = [row(n, labels(n), labels(n), themes=[f"t{n}"], stopped=n > 1) for n in range(4)]
    found = predictions.from_rows(scheme, rows).take(np.array([3, 1]))
    assert found.ids.tolist() == [f"{n:016x}" for n in (3, 1)] and found.themes == (("t3",), ("t1",))
    assert found.expected["depression_level"].tolist() == [3, 1] and found.stopped.tolist() == [True, False]


def test_collapses(scheme):
    found = risk_rows(
        scheme,
        [
            ("suicidal", "violence"),
            ("violence", "suicidal"),
            ("self_harm", "suicidal"),
            ("none", None),
            ("none", "none"),
        ],
    )
    any_risk = alarms.collapsed(found, alarms.any_alarm_collapse(scheme))
    assert any_risk.real.tolist() == [True, True, True, False, False] == any_risk.found.tolist()
    urgent = alarms.collapsed(found, alarms.urgent_collapse(scheme))
    assert urgent.real.tolist() == [True, False, True, False, False]
    assert urgent.found.tolist() == [False, True, True, False, False] and urgent.score is None
    only = alarms.collapsed(found, alarms.urgent_collapse(scheme, ["violence"]))
    assert only.real.tolist() == [False, True, False, False, False]
    with pytest.raises(UserError, match="raises no alarm"):
        alarms.urgent_collapse(scheme, ["none"])


def test_rows_whose_reference_does_not_have_the_risk_are_not_judged_on_it(scheme):
    rows = [row(1, {"depression_level": 1}, labels(risk="suicidal")), row(2, {"risk_flag": "none"}, labels())]
    assert alarms.collapsed(predictions.from_rows(scheme, rows), alarms.any_alarm_collapse(scheme)).rows.tolist() == [1]
    assert alarms.collapsed(predictions.from_rows(scheme, rows[:1]), alarms.any_alarm_collapse(scheme)) is None


def test_the_probability_of_an_alarm_keeps_its_digits_near_0(scheme):
    tiny = {"risk_flag": {"none": 1.0, "suicidal": 1e-20, "self_harm": 2e-20, "violence": 0.0}}
    found = predictions.from_rows(scheme, [row(1, labels(), labels(), probabilities=tiny)])
    assert alarms.collapsed(found, alarms.any_alarm_collapse(scheme)).score[0] == pytest.approx(3e-20, rel=1e-9, abs=0)


def test_two_labels_that_raise_alarms():
    of = [{"name": name, "kind": "nominal", "values": ["no", "yes"], "safe": "no"} for name in ("suicidal", "violence")]
    two = Scheme.from_dict({"fields": of})
    given = {name: {"no": 0.5, "yes": 0.5} for name in two.names}
    reference = {"suicidal": "no", "violence": "yes"}
    found = predictions.from_rows(two, [row(1, reference, reference, probabilities=given)])
    cases = alarms.collapsed(found, alarms.any_alarm_collapse(two))
    assert cases.real.tolist() == [True] and cases.score[0] == pytest.approx(0.75)
    assert alarms.urgent_collapse(two) == {} and sure(two, reference)["suicidal"] == {"no": 1.0, "yes": 0.0}
