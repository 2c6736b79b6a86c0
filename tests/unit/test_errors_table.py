import csv
import io

import pytest
from prediction_rows import labels, row, sure

from mindgauge import errors_table, predictions


def made(scheme):
    def shares(p):
        return {"risk_flag": {"none": 1 - p, "suicidal": p, "self_harm": 0.0, "violence": 0.0}}

    return predictions.from_rows(
        scheme,
        [
            row(0, labels(), labels()),
            row(1, labels(1), labels(2)),
            row(2, labels(1, 1), labels(2, 2)),
            row(3, labels(), labels(risk="suicidal"), probabilities=shares(0.7)),
            row(4, labels(), labels(risk="suicidal"), probabilities=shares(0.9)),
            row(5, labels(risk="suicidal"), labels(), probabilities=shares(0.4)),
            row(6, labels(risk="suicidal"), labels(), probabilities=shares(0.1)),
            row(7, labels(risk="violence"), None),
            row(8, labels(risk="violence"), labels(risk="suicidal")),
            row(9, {"anxiety_level": 2}, labels()),
        ],
    )


def test_missed_risk_first_and_in_it_what_the_model_was_surest_of(scheme):
    found = errors_table.errors(made(scheme))
    order = [int(line["id"], 16) for line in found]
    assert order == [6, 5, 7, 4, 3, 2, 1, 8, 9]
    assert [line["kind"] for line in found] == ["missed risk"] * 3 + ["false alarm"] * 2 + ["other"] * 4


def test_labels_and_probabilities_of_both_values(scheme):
    given = labels(1, risk="none")
    probabilities = sure(scheme, given, 0.7)
    (found,) = errors_table.errors(
        predictions.from_rows(scheme, [row(1, labels(2, risk="violence"), given, probabilities=probabilities)])
    )
    assert (found["wrong"], found["kind"]) == ("depression_level risk_flag", "missed risk")
    assert (found["risk_flag_reference"], found["risk_flag_given"]) == ("violence", "none")
    assert found["risk_flag_p_given"] == 0.7 and found["risk_flag_p_reference"] == pytest.approx(0.1)
    assert found["anxiety_level_p_given"] == found["anxiety_level_p_reference"] == 0.7
    by_id = {int(line["id"], 16): line for line in errors_table.errors(made(scheme))}
    assert by_id[7]["risk_flag_given"] is None and by_id[7]["wrong"].split() == list(scheme.names)
    assert by_id[9]["risk_flag_reference"] is None and by_id[9]["wrong"] == "anxiety_level"


def test_the_file_opens_in_a_spreadsheet_and_holds_no_text(tmp_path, scheme):
    path = tmp_path / "errors.csv"
    assert errors_table.write(path, made(scheme)) == 9
    text = path.read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == errors_table.columns(scheme) and len(rows) == 9
    assert rows[0]["id"] == "id-0000000000000006" and rows[0]["risk_flag_p_given"] == "0.9"
    assert set(rows[0]) == {"id", "source", "kind", "wrong"} | {
        f"{name}_{part}" for name in scheme.names for part in ("reference", "given", "p_given", "p_reference")
    }


def test_nothing_wrong_is_an_empty_table(tmp_path, scheme):
    right = predictions.from_rows(scheme, [row(1, labels(), labels())])
    assert errors_table.errors(right) == [] and errors_table.errors(predictions.from_rows(scheme, [])) == []
    assert errors_table.write(tmp_path / "errors.csv", right) == 0
    assert (
        (tmp_path / "errors.csv").read_text("utf-8-sig").startswith("id,source,kind,wrong,depression_level_reference")
    )
