import subprocess
import sys
from collections import Counter

import pytest
from conftest import ROOT

from mindgauge import identities, ingesting, keywords, labellers, labelling, minimising, sft, splitting, unifying
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, write_jsonl
from mindgauge.readers.roles import PREFIX
from mindgauge.records import Record, Turn
from mindgauge.students import judge

SOURCES = {
    "cpsycound": ("cpsycound", "CPsyCounD", "train"),
    "cpsycoune": ("cpsycoune", "CPsyCounE", "train"),
    "psyqa": ("psyqa", "PsyQA", "train"),
    "gold": ("jsonl", "gold.jsonl", "gold"),
}
RULES = {"min_counsellor_chars": 80, "length_rule": "total", "max_turns": 12, "max_chars": 2000}


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
    labellers.label({"minimise": made["minimise"]}, made["label"], made["label"], "keywords", 0, 1, scheme.to_dict())
    labelling.merge(
        made["minimise"], [made["label"]], made["labels"], {"backend": "keywords"}, "instruction", scheme.to_dict()
    )
    inputs = {"minimise": made["minimise"], "split": made["split"], "labels": made["labels"]}
    sft.make(
        inputs,
        made["sft"],
        view="client",
        instruction="instruction",
        val=0.08,
        test=0.2,
        seed=1,
        labels=scheme.to_dict(),
    )
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
    splits = read_json(chain["sft"] / "stats.json")["splits"]
    assert sum(splits[name]["rows"] for name in ("train", "val", "test")) == minimised["kept"]
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
    for value, train in splits["train"]["fields"]["risk_flag"].items():
        total = sum(splits[name]["fields"]["risk_flag"].get(value, 0) for name in ("train", "val", "test"))
        assert 0.12 <= splits["test"]["fields"]["risk_flag"][value] / total <= 0.3 and train > 0


def test_the_training_file_loads_as_llama_factory_reads_it(chain):
    info = read_json(chain["sft"] / "dataset_info.json")["sft_student_mental"]
    rows = list(read_jsonl(chain["sft"] / info["file_name"]))
    assert info["columns"] == {"prompt": "instruction", "query": "input", "response": "output"}
    assert all(set(row) == {"instruction", "input", "output"} for row in rows)
    assert len(rows) == sum(1 for _ in read_jsonl(chain["sft"] / "train.jsonl"))


def test_students_are_told_from_parents_and_adults(chain):
    kept = [Record.from_dict(row) for row in read_jsonl(chain["minimise"] / "unified_min.jsonl")]
    assert len(kept) > 380
    assert not any("我儿子" in record.words("client") or "我在公司" in record.words("client") for record in kept)
    assert judge(dialogue("我现在读高三，月考没考好。")).student
    assert not judge(dialogue("我女儿上初三，成绩掉得厉害。")).student
    assert "parent" in judge(dialogue("我女儿上初三。")).evidence


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


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("我叫周明远，电话13800000001", "我叫[姓名1]，电话[电话1]"),
        ("加我QQ：100000017，再说一遍100000017", "加我QQ：[QQ1]，再说一遍100000017"),
        ("发到 a.b@example.com 或 https://example.com/x?y=1", "发到 [邮箱1] 或 [网址1]"),
        ("小林，我在海宁市第三中学", "[姓名1]，我[学校1]"),
        ("等了一小时，小组里没人", "等了一小时，小组里没人"),
        ("我考了650分，排在1200名", "我考了650分，排在1200名"),
    ],
)
def test_identities(text, wanted):
    found = identities.replace([text])[0][0]
    assert found == wanted or (found.replace("在海宁市第三中学", "") and "[学校1]" in found)


def test_one_thing_has_one_placeholder_in_a_record():
    texts, counts = identities.replace(["13800000001", "13800000002和13800000001"])
    assert texts == ["[电话1]", "[电话2]和[电话1]"] and counts == {"电话": 3}


def test_unify_joins_strips_and_drops():
    record = Record(
        "s",
        "k",
        "dialogue",
        [Turn("client", "（沉默）甲"), Turn("client", "来访者：乙"), Turn("counsellor", "嗯。"), Turn("client", "丙")],
    )
    found, _, _ = unifying.unify_record(record)
    assert [turn.text for turn in found.turns] == ["甲\n乙\n丙"] and len(found.id) == 16
    assert unifying.unify_record(dialogue("", "只有咨询师说话"))[1] == "the client says nothing"


def test_the_id_is_of_the_words_alone():
    one, other = dialogue("甲", "乙"), dialogue("甲", "乙")
    other.source, other.key = "t", "l"
    assert (
        unifying.unify_record(one)[0].id
        == unifying.unify_record(other)[0].id
        != unifying.unify_record(dialogue("甲", "丙"))[0].id
    )


def test_crop_keeps_the_most_recent_turns_whole():
    turns = [Turn("client", str(number) * 10) for number in range(5)]
    assert [turn.text[0] for turn in minimising.crop(turns, 3, 2000)] == ["2", "3", "4"]
    assert [turn.text[0] for turn in minimising.crop(turns, 12, 25)] == ["3", "4"]
    assert [turn.text for turn in minimising.crop([Turn("client", "abc")], 12, 2)] == ["bc"]


def test_near_duplicates_and_one_question_share_a_group():
    long = "这学期开始以后我每天都睡不好，白天上课总是走神，回到宿舍也不想跟人说话，周末也不想出门。"
    records = [
        Record("s", str(number), "qa", [Turn("client", text)], question=question, id=f"{number:016x}")
        for number, (text, question) in enumerate(
            [
                (long, None),
                (long + "怎么办", None),
                ("完全不同的一段话，讲的是社团里排练合唱的事情。", "同一个问题写在这里给大家看"),
                ("又一段别的话，说图书馆座位和食堂新菜。", "同一个问题写在这里给大家看"),
                ("嗯", None),
            ]
        )
    ]
    groups = list(splitting.group(records, 0.7, 128).values())
    assert groups[0] == groups[1] and groups[2] == groups[3] and len(set(groups)) == 3


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


def test_a_lost_or_doubled_label_stops_the_merge(tmp_path, scheme):
    labels = {"depression_level": 0, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 0}
    write_jsonl(tmp_path / "unified_min.jsonl", [{"id": "a"}, {"id": "b"}])
    write_jsonl(tmp_path / "labels.jsonl", [{"id": "a", "labels": labels, "evidence": {}}])
    arguments = (tmp_path / "out", {"backend": "file"}, "x", scheme.to_dict())
    with pytest.raises(UserError, match="1 records have no label"):
        labelling.merge(tmp_path, [tmp_path], *arguments)
    with pytest.raises(UserError, match="labelled twice"):
        labelling.merge(tmp_path, [tmp_path, tmp_path], *arguments)


def test_a_label_file_is_joined_by_id(tmp_path, scheme):
    from mindgauge.labellers import label_file

    labels = {"depression_level": 0, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 0}
    write_jsonl(tmp_path / "l.jsonl", [{"id": "a", **labels}])
    one, other = dialogue("甲"), dialogue("乙")
    one.id, other.id = "a", "b"
    assert [row["labels"] for row in label_file.label([one], scheme, tmp_path / "l.jsonl")] == [labels]
    with pytest.raises(UserError, match="no labels for the record b"):
        list(label_file.label([other], scheme, tmp_path / "l.jsonl"))


def test_shards_hold_every_record_once(chain):
    ids = [row["id"] for row in read_jsonl(chain["minimise"] / "unified_min.jsonl")]
    assert sorted(Counter(labellers.shard_of(name, 3) for name in ids)) == [0, 1, 2]


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
    ingesting.ingest(tmp_path / "g.jsonl", out, "g", "jsonl", "gold", {}, scheme.to_dict())
    assert read_json(out / "stats.json")["kept"] == 1 and len(list(read_jsonl(out / "quarantine.jsonl"))) == 2
    assert "乙" not in (out / "quarantine.jsonl").read_text()


def test_nothing_of_a_record_is_printed(chain, capsys, tmp_path, scheme):
    ingesting.ingest(ROOT / "data/sample/PsyQA", tmp_path, "psyqa", "psyqa", "train", {}, scheme.to_dict())
    said = "".join(capsys.readouterr())
    assert said and not any("\u4e00" <= char <= "\u9fff" for char in said)
