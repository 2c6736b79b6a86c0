import subprocess
import sys

import pytest
from conftest import ROOT
from supervised import supervise

from mindgauge import ingesting, keywords, minimising, sft, splitting, unifying
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, write_jsonl
from mindgauge.readers.roles import PREFIX
from mindgauge.records import RECORD, Record, Turn, from_line, read_records, to_line, write_records

SOURCES = {
    "cpsycound": ("cpsycound", "CPsyCounD", "train"),
    "cpsycoune": ("cpsycoune", "CPsyCounE", "train"),
    "psyqa": ("psyqa", "PsyQA", "train"),
    "gold": ("table", "gold.jsonl", "gold"),
}
RULES = {"threshold": 2.5, "min_chars": 80, "length_rule": "total", "max_turns": 12, "max_chars": 2000}


def dialogue(*texts, kind="dialogue"):
    roles = ("client", "counsellor")
    return Record("s", "k", kind, [Turn(roles[number % 2], text) for number, text in enumerate(texts)])


@pytest.fixture(scope="session")
def chain(tmp_path_factory, scheme):
    """The data steps over the sample, once."""
    root = tmp_path_factory.mktemp("chain")
    made = {name: root / name for name in (*SOURCES, "unify", "minimise", "split", "label", "labels", "sft")}
    for path in made.values():
        path.mkdir()
    for name, (reader, place, role) in SOURCES.items():
        ingesting.ingest(ROOT / "data/sample" / place, made[name], name, reader, role, {}, scheme.to_dict())
    unifying.unify([made[name] for name in SOURCES], made["unify"])
    minimising.minimise(made["unify"], made["minimise"], **RULES)
    splitting.split(made["minimise"], made["split"], 0.7, 128)
    supervise(made, scheme)
    return made


def test_every_record_is_accounted_for(chain):
    stats = read_json(chain["unify"] / "stats.json")
    for name in SOURCES:
        ingested = read_json(chain[name] / "stats.json")
        assert ingested["read"] == ingested["kept"] + ingested["quarantined"]
        unified = stats["sources"][name]
        assert ingested["kept"] == unified["read"] == unified["kept"] + sum(unified["dropped"].values())
    minimised = read_json(chain["minimise"] / "stats_min.json")
    for name, of in minimised["sources"].items():
        assert of["read"] == stats["sources"][name]["kept"] == of["kept"] + sum(of["dropped"].values())
    assert minimised["kept"] == read_json(chain["labels"] / "stats.json")["labelled"]
    rows = read_json(chain["sft"] / "stats.json")
    splits = rows["splits"]
    dealt = sum(splits[name]["rows"] for name in ("train", "val", "test"))
    assert dealt + sum(rows["left_out"].values()) == minimised["kept"] and dealt > 0.9 * minimised["kept"]
    assert splits["gold"]["rows"] == minimised["gold"] == 60


def test_no_text_begins_with_a_role(chain):
    texts = [turn["text"] for row in read_jsonl(chain["unify"] / "unified.jsonl") for turn in row["turns"]]
    assert texts and not any(PREFIX.match(line) for text in texts for line in text.split("\n"))


def test_no_group_straddles_a_split(chain):
    where = {}
    for name in ("train", "val", "test"):
        for row in read_jsonl(chain["sft"] / f"{name}.jsonl"):
            assert where.setdefault(row["group"], name) == name


def test_splits_hold_their_shares_of_every_risk(chain):
    splits = read_json(chain["sft"] / "stats.json")["splits"]
    assert splits["test"]["sources"].keys() == splits["train"]["sources"].keys()
    for value, train in splits["train"]["fields"]["risk_flag"].items():
        total = sum(splits[name]["fields"]["risk_flag"].get(value, 0) for name in ("train", "val", "test"))
        assert 0.12 <= splits["test"]["fields"]["risk_flag"][value] / total <= 0.35 and train > 0


def test_the_other_view_is_of_the_same_rows(chain):
    test, other = (list(read_jsonl(chain["sft"] / f"{name}.jsonl")) for name in ("test", "other_view"))
    assert [{**row, "input": ""} for row in test] == [{**row, "input": ""} for row in other]
    spoken = [row["input"].split("\n") for row in other]
    assert all(lines[0].startswith(("学生：", "咨询师：", "旁人：")) for lines in spoken)
    assert any(line.startswith("咨询师：") for lines in spoken for line in lines)


def test_the_training_file_loads_as_llama_factory_reads_it(chain):
    info = read_json(chain["sft"] / "dataset_info.json")["sft_student_mental"]
    rows = list(read_jsonl(chain["sft"] / info["file_name"]))
    assert info["columns"] == {"prompt": "instruction", "query": "input", "response": "output"}
    assert all(set(row) == {"instruction", "input", "output"} for row in rows)
    assert len(rows) == sum(1 for _ in read_jsonl(chain["sft"] / "train.jsonl"))


def test_the_sample_is_what_its_generator_writes(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "workflow/scripts/make_sample.py", "--out", tmp_path], check=True, capture_output=True
    )
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    held = {
        path.relative_to(ROOT / "data/sample"): path.read_bytes()
        for path in (ROOT / "data/sample").rglob("*")
        if path.is_file()
    }
    assert made == {path: text for path, text in held.items() if path.name != "README.md"}


def unified(record):
    found = unifying.unify_record(record)
    return from_line(found.line, "here") if found.line else found.reason


def test_unify_joins_strips_and_drops():
    record = Record(
        "s",
        "k",
        "dialogue",
        [
            Turn("client", "（沉默）甲"),
            Turn("client", "（沉默）来访者：（叹气）来访者：乙"),
            Turn("counsellor", "嗯。"),
            Turn("client", "丙（一段时间后）丁（认知行为疗法）"),
        ],
    )
    found = unified(record)
    assert [turn.text for turn in found.turns] == ["甲\n乙\n丙丁（认知行为疗法）"] and len(found.id) == 16
    assert unified(dialogue("", "只有咨询师说话")) == "the client says nothing"


def test_the_words_of_others_in_the_room_are_not_the_clients():
    record = Record("s", "k", "dialogue", [Turn("client", "甲"), Turn("other", "他在家里也这样"), Turn("client", "乙")])
    found = unified(record)
    assert found.words("client") == "甲\n乙" and sft.view(found, "dialogue").count("旁人：") == 1


def test_the_sites_own_words_are_taken_out_of_answers():
    answer = "题主你好，抱抱。我是壹心理的答主，欢迎关注我。题主的处境我能理解，先照顾好自己。世界和我爱着你。"
    found = unified(Record("s", "k", "qa", [Turn("client", "问"), Turn("counsellor", answer)], keywords=["王老师"]))
    assert found.words("counsellor") == "抱抱。你的处境我能理解，先照顾好自己。"
    assert found.keywords == ["[姓名1]老师"]


def test_the_id_is_of_the_words_alone():
    one, other = dialogue("甲", "乙"), dialogue("甲", "乙")
    other.source, other.key = "t", "l"
    assert unified(one).id == unified(other).id != unified(dialogue("甲", "丙")).id


def test_several_processes_make_the_same_bytes(chain, tmp_path):
    unifying.unify([chain[name] for name in SOURCES], tmp_path, threads=2)
    for name in ("unified.jsonl", "stats.json"):
        assert (tmp_path / name).read_bytes() == (chain["unify"] / name).read_bytes()


def test_records_are_checked_on_write_and_read(tmp_path):
    record = dialogue("甲", "乙")
    assert from_line(to_line(record), "here") == record
    write_records(tmp_path / "r.jsonl", [record, record])
    with (tmp_path / "r.jsonl").open("ab") as file:
        file.write(to_line(record).replace(b'"client"', b'"someone"'))
    with pytest.raises(UserError, match=r"turns\.0\.role") as error:
        list(read_records(tmp_path / "r.jsonl"))
    assert "r.jsonl:3" in str(error.value) and "甲" not in str(error.value) and "someone" not in str(error.value)
    record.id = "no id"
    with pytest.raises(UserError, match="id: "):
        to_line(record)
    assert RECORD.json_schema() == read_json(ROOT / "config/schemas/record.schema.json")


def test_zero_students_is_one_clear_error(tmp_path):
    write_records(tmp_path / "unified.jsonl", [from_line(unifying.unify_record(dialogue("在公司上班", "乙")).line, "")])
    with pytest.raises(UserError, match=r"no record is left.*not a student speaking of themselves"):
        minimising.minimise(tmp_path, tmp_path, **RULES)


def test_the_audit_sheet_holds_records_on_both_sides(chain):
    import csv

    with (chain["minimise"] / "student_audit.csv").open(encoding="utf-8-sig", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    assert {row["taken"] for row in rows} == {"yes", "no"} and {row["source"] for row in rows} == set(SOURCES) - {
        "gold"
    }
    for row in rows:
        assert (float(row["score"]) >= RULES["threshold"]) == (row["taken"] == "yes")


@pytest.mark.parametrize(
    ("rule", "kind", "kept"),
    [("total", "dialogue", True), ("longest", "dialogue", False), ("each", "dialogue", False), ("total", "qa", False)],
)
def test_the_length_rule(rule, kind, kept):
    record = Record("s", "k", kind, [Turn("client", "甲"), *[Turn("counsellor", "字" * 30)] * 3])
    assert (minimising.counsellor_chars(record, rule) >= 80) is kept


def test_crop_keeps_the_most_recent_turns_whole():
    turns = [Turn("client", str(number) * 10) for number in range(5)]
    assert [turn.text[0] for turn in minimising.crop(turns, 3, 2000)] == ["2", "3", "4"]
    assert [turn.text[0] for turn in minimising.crop(turns, 12, 25)] == ["3", "4"]
    assert [turn.text for turn in minimising.crop([Turn("client", "abc")], 12, 2)] == ["bc"]


def test_cropping_a_question_keeps_the_end_of_the_question_and_the_best_answer():
    turns = [Turn("client", "问" * 1500 + "尾"), Turn("counsellor", "短" * 90), Turn("counsellor", "长" * 1800)]
    record = Record("s", "k", "qa", turns)
    verdict = minimising.Verdict(9, ())
    assert minimising.minimised(record, verdict, **RULES) == ""
    assert sum(len(turn.text) for turn in record.turns) <= 2000
    assert record.turns[0].text.endswith("尾") and set(record.turns[1].text) == {"长"}


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("我不想活了", "suicidal"),
        ("我没想过自杀", "none"),
        ("我从来没有想死", "none"),
        ("作业太多累死了，烦死我了", "none"),
        ("听说有同学想过自杀", "none"),
        ("我会划自己的手臂", "self_harm"),
        ("我真的想打他", "violence"),
        ("我想打他，也想死", "suicidal"),
        ("没有要打他的意思", "none"),
        ("我想死了", "suicidal"),
        ("好想你们，想死你们了", "none"),
        ("我不想死", "none"),
    ],
)
def test_keyword_risk(text, risk):
    assert keywords.label(text).labels["risk_flag"] == risk


def test_keyword_levels_name_their_rules():
    found = keywords.label("每天都很低落，喘不上气，月考没考好")
    assert found.labels == {"depression_level": 2, "anxiety_level": 3, "risk_flag": "none", "student_distress_score": 6}
    assert found.evidence["student_distress_score"] == ["exams"]


def test_the_dialogue_view_names_who_speaks():
    assert sft.view(dialogue("甲", "乙"), "dialogue") == "学生：甲\n咨询师：乙"
    assert sft.view(dialogue("甲", "乙"), "client") == "甲"


def test_gold_labels_outside_the_scheme_are_quarantined(tmp_path, scheme):
    write_jsonl(
        tmp_path / "g.jsonl",
        [
            {"text": "甲", "labels": {"risk_flag": "none"}},
            {"text": "乙", "labels": {"risk_flag": "maybe"}},
            {"text": "丙"},
        ],
    )
    out = tmp_path / "out"
    ingesting.ingest(tmp_path / "g.jsonl", out, "g", "table", "gold", {}, scheme.to_dict())
    assert read_json(out / "stats.json")["kept"] == 1 and len(list(read_jsonl(out / "quarantine.jsonl"))) == 2
    assert "乙" not in (out / "quarantine.jsonl").read_text()


def test_nothing_of_a_record_is_printed(chain, capsys, tmp_path, scheme):
    ingesting.ingest(ROOT / "data/sample/PsyQA", tmp_path, "psyqa", "psyqa", "train", {}, scheme.to_dict())
    said = "".join(capsys.readouterr())
    assert said and not any("\u4e00" <= char <= "\u9fff" for char in said)
