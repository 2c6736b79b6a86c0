import json
import zipfile

import openpyxl
import pytest

from mindgauge import ingesting, readers
from mindgauge.files import read_json, read_jsonl
from mindgauge.gold import join_gold, named_by
from mindgauge.readers.psysuicide import CLASSES
from mindgauge.readers.text import Seen
from mindgauge.records import Broken, Record, Turn, read_records
from mindgauge.review import audit_sheet

SECRET = "我真实的话"


def workbook(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def read(path, **names):
    return list(readers.read("table", path, "g", "gold", names))


def ingested(tmp_path, path, scheme, reader="table", names=None):
    out = tmp_path / "out"
    ingesting.ingest(path, out, "g", reader, "gold", names or {}, scheme.to_dict())
    return list(read_records(out / "records.jsonl")), list(read_jsonl(out / "quarantine.jsonl"))


def known(number, source="psyqa", licence="no redistribution"):
    turns = [Turn("client", f"原话{number}"), Turn("counsellor", "答")]
    return Record(source, str(number), "qa", turns, id=f"{number:016x}", licence=licence)


# Workbooks


def test_cells_of_every_kind(tmp_path):
    import datetime

    rows = [
        ["text", "level", "risk", "remark"],
        ["甲", 2, "none", datetime.date(2026, 1, 2)],
        ["乙", 2.0, " suicidal ", None],
        [None, None, None, None],
        ["丙", "２", None, "=1+1"],
        ["丁", "2.0"],
        [12, 1, "none", True],
    ]
    found = read(workbook(tmp_path / "g.xlsx", rows), depression_level="level", risk_flag="risk")
    assert [record.labels for record in found] == [
        {"depression_level": 2, "risk_flag": "none"},
        {"depression_level": 2, "risk_flag": "suicidal"},
        {"depression_level": 2},
        {"depression_level": 2},
        {"depression_level": 1, "risk_flag": "none"},
    ]
    assert [record.key for record in found] == ["g-2", "g-3", "g-5", "g-6", "g-7"] and found[-1].words("client") == "12"


def test_a_formula_without_its_result_an_error_and_a_surplus_cell_are_told(tmp_path):
    rows = [["text", "risk"], [SECRET, '="no"&"ne"'], [SECRET, "none", "mehr"], [SECRET, "none"], ["", "none"]]
    path = workbook(tmp_path / "g.xlsx", rows)
    book = openpyxl.load_workbook(path)
    book.active["B4"].value, book.active["B4"].data_type = "#N/A", "e"
    book.save(path)
    formula, surplus, error, empty = read(path, risk_flag="risk")
    assert (formula.line, surplus.line, error.line, empty.line) == (2, 3, 4, 5)
    assert formula.reason.startswith("column risk: a formula without its result")
    assert surplus.reason == "more or fewer cells than the heading has"
    assert error.reason == "column risk: a formula that gives an error"
    assert empty.reason.startswith("column text: no text")


def test_a_workbook_that_states_a_wrong_size_is_read_whole(tmp_path):
    path = workbook(tmp_path / "g.xlsx", [["text", "risk_flag"], ["甲", "none"], ["乙", "none"]])
    with zipfile.ZipFile(path) as held:
        parts = {name: held.read(name) for name in held.namelist()}
    name = "xl/worksheets/sheet1.xml"
    assert b'<dimension ref="A1:B3"' in parts[name]
    parts[name] = parts[name].replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1:A2"')
    with zipfile.ZipFile(path, "w") as made:
        for part, content in parts.items():
            made.writestr(part, content)
    assert [record.labels for record in read(path, risk_flag="risk_flag")] == [{"risk_flag": "none"}] * 2


@pytest.mark.parametrize("name", ["g.xlsx", "g.csv"])
def test_an_empty_sheet_and_a_heading_twice_are_told(tmp_path, name):
    def write(rows):
        if name == "g.csv":
            (tmp_path / name).write_text("".join(",".join(row) + "\n" for row in rows))
        else:
            workbook(tmp_path / name, rows)
        return read(tmp_path / name)

    assert write([]) == [Broken(name, 1, "no row below a heading")]
    assert write([["text", "risk_flag"]]) == [Broken(name, 1, "no row below a heading")]
    assert write([["text", "risk", "risk"], [SECRET, "a", "b"]]) == [
        Broken(name, 1, "two columns of the same name in the heading")
    ]


def test_a_damaged_workbook_is_a_fault_and_never_a_crash(tmp_path):
    path = workbook(tmp_path / "g.xlsx", [["text", "risk_flag"], *[[SECRET, "none"]] * 50])
    data = path.read_bytes()
    for cut in [*range(0, len(data), 97), *range(len(data) - 30, len(data))]:
        for damaged in (data[:cut], data[:cut] + b"\xff\x00<" + data[cut + 3 :]):
            path.write_bytes(damaged)
            for found in read(path):
                assert isinstance(found, Record) or (found.file == "g.xlsx" and SECRET not in found.reason)
    path.write_bytes(b"no zip")
    assert read(path) == [Broken("g.xlsx", 1, "not a workbook (.xlsx) from here on")]


def test_rows_of_csv_are_counted_as_a_spreadsheet_does(tmp_path):
    (tmp_path / "g.csv").write_text('text,risk_flag\n"a\nb",none\n\nb,,x\n,\nc,none\n')
    first, broken, last = read(tmp_path / "g.csv")
    assert (first.key, last.key) == ("g-2", "g-6")
    assert broken == Broken("g.csv", 4, "more or fewer cells than the heading has")


# Faults of gold name row and column


@pytest.mark.parametrize("name", ["g.xlsx", "g.csv", "g.jsonl"])
def test_values_outside_the_scheme_are_told_with_row_and_column_and_never_shown(tmp_path, scheme, name, capsys):
    heading = ["key", "text", "risk", "depression_level", "anxiety_level"]
    rows = [
        ["a", SECRET, "none", 1, 1],
        ["b", SECRET, SECRET, 4, 1],
        ["c", SECRET, "none", 1.5, 1],
        ["d", SECRET, None, None, None],
        ["e", SECRET, "None", -1, 1],
    ]
    path = tmp_path / name
    if name == "g.xlsx":
        workbook(path, [heading, *rows])
    elif name == "g.csv":
        path.write_text("".join(",".join("" if c is None else str(c) for c in row) + "\n" for row in [heading, *rows]))
    else:
        path.write_text("\n".join(json.dumps(dict(zip(heading, row, strict=True))) for row in rows))
    kept, broken = ingested(tmp_path, path, scheme, names={"risk_flag": "risk"})
    assert [record.labels for record in kept] == [{"risk_flag": "none", "depression_level": 1, "anxiety_level": 1}]
    first = 2 if name == "g.jsonl" else 3
    assert [(row["file"], row["line"]) for row in broken] == [(name, first + n) for n in range(4)]
    risk = "column risk: not one of none, suicidal, self_harm, violence"
    assert set(broken[0]["reason"].split("; ")) == {risk, "column depression_level: not one of 0, 1, 2, 3"}
    assert broken[1]["reason"].startswith("column depression_level: ")
    assert broken[2]["reason"] == "a gold record without labels"
    said = "".join(capsys.readouterr()) + json.dumps(broken)
    assert f"{name}, line or row {first}" in said and SECRET not in said and json.dumps(SECRET)[1:-1] not in said


def test_booleans_and_labels_nobody_knows_are_no_labels(tmp_path, scheme):
    rows = [
        {"text": "甲", "labels": {"depression_level": 1}},
        {"text": "甲", "labels": {"depression_level": True}},
        {"text": "甲", "labels": {SECRET: 1}},
        {"text": "甲", "depression_level": True},
        {"text": "甲", "labels": "{" * 9},
        {"text": "甲", "depression_level": "--5"},
        {"text": "甲", "depression_level": "9" * 5000},
    ]
    (tmp_path / "g.jsonl").write_text("\n".join(map(json.dumps, rows)))
    kept, broken = ingested(tmp_path, tmp_path / "g.jsonl", scheme)
    assert len(kept) == 1 and [row["line"] for row in broken] == [2, 3, 4, 5, 6, 7]
    assert all("column labels" in row["reason"] for row in (broken[0], broken[1], broken[3]))
    assert all("column depression_level" in row["reason"] for row in (broken[2], *broken[4:]))
    assert SECRET not in str(broken)


def test_a_value_is_in_the_scheme_only_if_it_is_of_the_same_type(scheme):
    for value in (True, 1.0, "1"):
        assert ingesting.out_of_scheme({"depression_level": value}, scheme, {}) != ""
    assert ingesting.out_of_scheme({"depression_level": 1}, scheme, {}) == ""


def test_labels_of_a_training_table_are_taken_only_where_the_config_names_them(tmp_path, scheme):
    (tmp_path / "t.csv").write_text("text,risk_flag\n甲,none\n")
    for columns, labels in (({}, None), ({"risk_flag": "risk_flag"}, {"risk_flag": "none"})):
        ingesting.ingest(tmp_path / "t.csv", tmp_path / "out", "t", "table", "train", columns, scheme.to_dict())
        assert [record.labels for record in read_records(tmp_path / "out/records.jsonl")] == [labels]


# Rows that name a record


def test_a_sheet_that_comes_back_has_the_words_of_the_records(tmp_path, scheme):
    records = [known(number) for number in range(1, 9)]
    labels = {"depression_level": 1, "anxiety_level": 2, "risk_flag": "none", "student_distress_score": 4}
    audit = audit_sheet(records, dict.fromkeys((record.id for record in records), labels), scheme, 8, 1)
    path = tmp_path / "gold.xlsx"
    path.write_bytes(audit.xlsx)
    book = openpyxl.load_workbook(path)
    sheet = book["labels"]
    for row in range(2, 9):  # the eighth person's row stays empty
        sheet.cell(row, 2).value = None if row % 2 else "表格改过的话"
        sheet.cell(row, 3).value, sheet.cell(row, 5).value = row % 4, "none"
    book.save(path)
    kept, broken = ingested(tmp_path, path, scheme)
    assert [(row["line"], row["reason"]) for row in broken] == [(9, "a gold record without labels")]
    found = list(join_gold(kept, named_by(kept, iter(records))))
    by_id = {record.id: record for record in records}
    assert len(found) == 7
    for number, record in enumerate(found, 2):
        assert record.turns == by_id[record.id].turns and record.role == "gold"
        assert record.labels == {"depression_level": number % 4, "risk_flag": "none"}
        assert (record.source, record.licence) == ("psyqa", "no redistribution")


def test_unknown_ids_are_told_with_row_and_column(tmp_path, scheme):
    rows = [
        ["number", "text", "risk_flag"],
        [f"id-{1:016x}", None, "none"],
        [f"{2:016x}", None, "none"],
        [f"{3:016x}", SECRET, "none"],
        [f"{1:016x}", None, "violence"],
        ["A7", SECRET, "none"],
        ["A8", None, "none"],
    ]
    kept, broken = ingested(tmp_path, workbook(tmp_path / "g.xlsx", rows), scheme, names={"id": "number"})
    assert [(row["line"], row["reason"].split(":")[0]) for row in broken] == [(7, "column text")]
    one = known(1)
    joined = list(join_gold(kept, named_by(kept, [one, known(9)]), {"id": "number"}))
    assert joined[0].turns == one.turns and joined[0].id == one.id
    assert joined[1] == Broken("g", 3, "column number: no record has this id, and column text is empty")
    assert (joined[2].words("client"), joined[2].id) == (SECRET, None)
    assert joined[3] == Broken("g", 5, "column number: an earlier row has the same id")
    assert (joined[4].words("client"), joined[4].key) == (SECRET, "A7")


def test_only_gold_may_leave_words_out(tmp_path):
    (tmp_path / "t.jsonl").write_text(json.dumps({"id": f"{1:016x}"}) + "\n" + json.dumps({"id": 1, "text": "甲"}))
    broken, record = readers.read("table", tmp_path / "t.jsonl", "s", "train", {})
    assert broken.line == 1 and broken.reason.startswith("column text: no text") and record.key == "1"
    readers.check("table", tmp_path / "t.jsonl", "s", {})


# PsySUICIDE's classes


def posts(tmp_path, *classes, **more):
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"text": "甲", "labels": list(of), **more} for of in classes]))
    return path


@pytest.mark.parametrize(
    ("classes", "flag"),
    [
        (["主动自杀意图"], "suicidal"),
        (["自伤行为", "自杀未遂"], "suicidal"),
        (["用户攻击行为", "自伤意图"], "self_harm"),
        (["用户攻击行为"], "violence"),
        (["与自杀/自伤/攻击行为无关"], "none"),
        (["他人攻击行为", "被动自杀意图"], "suicidal"),
        (["他人攻击行为"], None),
        (["关于自杀的探索"], None),
        (["关于自杀的探索", "与自杀/自伤/攻击行为无关"], None),
        ([], None),
    ],
)
def test_classes_by_the_default_mapping(tmp_path, classes, flag):
    (found,) = readers.read("psysuicide", posts(tmp_path, classes), "s", "gold", {})
    assert found.labels == {"risk_flag": flag} if flag else found.reason.startswith("column labels: ")


def test_the_mapping_of_the_config_is_obeyed(tmp_path, scheme):
    path = posts(tmp_path, ["关于自杀的探索"], ["他人攻击行为"], ["主动自杀意图"])
    mapping = {**CLASSES, "关于自杀的探索": "suicidal", "主动自杀意图": None}
    kept, broken = ingested(tmp_path, path, scheme, "psysuicide", mapping)
    assert [record.labels for record in kept] == [{"risk_flag": "suicidal"}]
    assert [row["reason"] for row in broken] == [
        f"column labels: the class {name} stands for no risk_flag" for name in ("他人攻击行为", "主动自杀意图")
    ]


def test_a_value_of_another_scheme_goes_before_none(tmp_path):
    path = posts(tmp_path, ["与自杀/自伤/攻击行为无关", "用户攻击行为"])
    (found,) = readers.read("psysuicide", path, "s", "gold", {**CLASSES, "用户攻击行为": "threat"})
    assert found.labels == {"risk_flag": "threat"}


def test_an_unknown_class_is_named_if_it_is_a_word(tmp_path):
    first, second = readers.read(
        "psysuicide", posts(tmp_path, ["主动自杀意图", "新类别"], ["这里写的，是一句话。"]), "s", "gold", {}
    )
    assert "新类别" in first.reason and second.reason.count("(not a word)") == 1 and "一句话" not in second.reason


def test_keys_are_those_of_the_sets_parts(tmp_path):
    (found,) = readers.read(
        "psysuicide", posts(tmp_path, ["自杀计划"], idx=7, data_source="synthetic"), "s", "gold", {}
    )
    assert found.key == "synthetic-7"


def test_the_place_of_a_record_is_known_while_it_is_looked_at(tmp_path):
    (tmp_path / "g.csv").write_text("text\n甲\n乙\n")
    seen = Seen()
    places = [(seen.file, seen.line) for _ in readers.read("table", tmp_path, "s", "gold", {}, seen=seen)]
    assert places == [("g.csv", 2), ("g.csv", 3)]


def test_what_is_kept_and_quarantined_adds_up(tmp_path, scheme):
    path = workbook(
        tmp_path / "g.xlsx", [["text", "risk_flag"], ["甲", "none"], ["乙", "no"], [None, "none"], ["丙", None]]
    )
    ingested(tmp_path, path, scheme)
    stats = read_json(tmp_path / "out/stats.json")
    assert (stats["read"], stats["kept"], stats["quarantined"]) == (4, 1, 3)
    assert stats["encodings"] == {"xlsx": 1}
