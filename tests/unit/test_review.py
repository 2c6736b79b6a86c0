import csv
import io
import re
import zipfile
from collections import Counter

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgauge.records import Record, Turn
from mindgauge.review import audit_sheet, needs_review, review_csv, seats
from mindgauge.spreadsheets import csv_text, guarded
from mindgauge.voting import Decision

NONE = {"depression_level": 0, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 1}


def decision(risk="none", **low):
    sure = dict.fromkeys(NONE, 0.95) | low
    return Decision({**NONE, "risk_flag": risk}, sure, min(sure.values()))


def rows_of(text):
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_most_doubtful_come_first_and_alarms_among_equals(scheme):
    decided = [
        ("b", "s", decision(anxiety_level=0.5)),
        ("a", "s", decision(risk_flag=0.6)),
        ("c", "s", decision("suicidal", risk_flag=0.6, anxiety_level=0.65)),
        ("d", "t", None),
        ("e", "s", decision()),
        ("f", "s", decision(risk_flag=0.7)),  # on the threshold is not under it
    ]
    rows = rows_of(review_csv(needs_review(decided, scheme, 0.7), scheme))
    assert [row["id"] for row in rows] == ["d", "b", "c", "a"]
    assert list(rows[0])[:5] == ["id", "source", "least", "depression_level", "depression_level_confidence"]
    assert rows[0]["reason"] == "no valid answer" and rows[0]["risk_flag"] == rows[0]["least"] == ""
    assert rows[2]["reason"] == "anxiety_level, risk_flag under 0.7"
    assert (rows[2]["risk_flag"], rows[2]["risk_flag_confidence"], rows[2]["least"]) == ("suicidal", "0.6", "0.6")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", " =1", "\r1", "＝1", '=HYPERLINK("x")'])
def test_no_cell_is_taken_for_a_formula(text):
    assert guarded(text) == "'" + text
    assert rows_of(csv_text(["a"], [[text]]))[0]["a"].startswith("'")


@given(st.text())
def test_ordinary_text_stays_as_it_is(text):
    found = guarded(text)
    assert found.lstrip()[:1] not in tuple("=+-@") and (found in (text, "'" + text) or len(found) < len(text) + 1)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 50), min_size=1), st.integers(0, 120))
def test_seats_are_in_proportion(sizes, total):
    found = seats(sizes, total)
    whole = sum(sizes.values())
    assert sum(found.values()) == min(total, whole) and all(found[name] <= sizes[name] for name in sizes)
    if total >= len(sizes):
        assert min(found.values()) >= 1
    if total == whole:
        assert found == sizes


def test_seats_by_hand():
    assert seats({"a": 60, "b": 30, "c": 10}, 10) == {"a": 6, "b": 3, "c": 1}
    assert seats({"a": 1000, "b": 2}, 10) == {"a": 9, "b": 1}


def corpus():
    """600 records: 2 of violence, 8 of suicidal, the rest none; two sources, 2 to 1."""
    records, labels = [], {}
    for number in range(600):
        record = Record(
            "one" if number % 3 else "two",
            str(number),
            "dialogue",
            [Turn("client", f"=话{number}"), Turn("counsellor", "机器不该看见"), Turn("client", "完")],
            id=f"{number * 7919:016x}",
        )
        risk = "violence" if number in (4, 6) else "suicidal" if number % 75 == 1 else "none"
        records.append(record)
        labels[record.id] = {**NONE, "risk_flag": risk}
    return records, labels


@pytest.fixture(scope="module")
def audit(scheme):
    return audit_sheet(*corpus(), scheme, per_stratum=12, seed=3)


def test_the_audit_sheet_is_blind_and_over_samples_alarms(audit, scheme):
    rows = rows_of(audit.csv)
    records, labels = corpus()
    assert list(rows[0]) == ["id", "text", *scheme.names, "remark"]
    assert all(row[name] == "" for row in rows for name in (*scheme.names, "remark"))
    strata = [labels[row["id"].removeprefix("id-")]["risk_flag"] for row in rows]
    assert Counter(strata) == {"none": 12, "suicidal": 8, "violence": 2}
    words = {record.id: record.words("client") for record in records}
    assert all(row["text"] == "'" + words[row["id"].removeprefix("id-")] for row in rows)
    assert "机器不该看见" not in audit.csv and "one" not in audit.csv
    # neither in the order of the strata nor in that of the records
    assert strata != sorted(strata) and strata != sorted(strata, reverse=True)
    assert [row["id"] for row in rows] != sorted(row["id"] for row in rows)


def test_the_weights_add_up_to_the_corpus(audit):
    _, labels = corpus()
    assert audit.weights.keys() == {row["id"].removeprefix("id-") for row in rows_of(audit.csv)}
    for risk in ("none", "suicidal", "violence"):
        whole = sum(of["risk_flag"] == risk for of in labels.values())
        estimate = sum(1 / of["probability"] for of in audit.weights.values() if of["stratum"] == risk)
        assert estimate == pytest.approx(whole)
    assert Counter(of["source"] for of in audit.weights.values() if of["stratum"] == "none") == {"one": 8, "two": 4}


def test_the_same_seed_draws_the_same_bytes(audit, scheme):
    records, labels = corpus()
    again = audit_sheet(records[::-1], labels, scheme, per_stratum=12, seed=3)
    assert again == audit
    assert audit_sheet(records, labels, scheme, per_stratum=12, seed=4).weights.keys() != audit.weights.keys()
    # and the workbook says nothing of when it was written
    with zipfile.ZipFile(io.BytesIO(audit.xlsx)) as parts:
        assert {part.date_time for part in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert set(re.findall(rb"<dcterms[^>]*>([^<]*)", parts.read("docProps/core.xml"))) == {b"1980-01-01T00:00:00Z"}


def test_the_workbook_offers_the_allowed_values(audit, scheme):
    book = openpyxl.load_workbook(io.BytesIO(audit.xlsx))
    sheet, values = book["labels"], book["values"]
    assert book.sheetnames[0] == "labels" and sheet.freeze_panes == "A2"
    rows = rows_of(audit.csv)
    assert [[cell.value or "" for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        list(row.values()) for row in rows
    ]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    heading = [cell.value for cell in sheet[1]]
    rules = {str(rule.sqref): rule for rule in sheet.data_validations.dataValidation}
    assert len(rules) == len(scheme.names)
    for field in scheme.fields:
        letter = "ABCDEFGH"[heading.index(field.name)]
        rule = rules[f"{letter}2:{letter}{len(rows) + 1}"]
        place = rule.formula1.removeprefix("values!").replace("$", "")
        assert rule.type == "list" and [cell.value for (cell,) in values[place]] == list(field.values)


def test_a_scheme_without_alarm_is_one_stratum():
    from mindgauge.labels import Scheme

    scheme = Scheme.from_dict({"fields": [{"name": "level", "kind": "ordinal", "values": [0, 1]}]})
    records, _ = corpus()
    found = audit_sheet(records, {record.id: {"level": 0} for record in records}, scheme, 9, 1)
    assert len(found.weights) == 9 and {of["stratum"] for of in found.weights.values()} == {"all"}
