import json

import pytest
from conftest import ROOT

from mindgauge import readers
from mindgauge.errors import UserError
from mindgauge.readers.roles import PREFIX, turns_of
from mindgauge.readers.text import json_items
from mindgauge.records import Broken, Record

SAMPLE = ROOT / "data/sample"


def read(reader, path, **columns):
    return list(readers.read(reader, path, "s", "train", columns))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cpsycound(tmp_path, encoding, end):
    lines = ["来访者（姚同学）：甲", "心理咨询师（扮演母亲）: 乙", "丙", "", "来访者1：丁", "（后续反馈：戊）"]
    (tmp_path / "case_1.txt").write_bytes(end.join(lines).encode(encoding))
    (tmp_path / "case_2.txt").write_bytes(b"\xff\xff\xff\x00")
    record, broken = read("cpsycound", tmp_path)
    assert [(turn.role, turn.text) for turn in record.turns] == [
        ("client", "甲"),
        ("counsellor", "乙\n丙"),
        ("client", "丁"),
    ]
    assert isinstance(broken, Broken) and broken.file == "case_2.txt"


def test_psyqa_keeps_every_answer_with_a_text(tmp_path):
    item = {
        "questionID": 7,
        "question": "问",
        "description": "述",
        "keywords": "学业,情绪",
        "answers": [{"answer_text": "答"}, {"answer_text": None}],
    }
    (tmp_path / "q.json").write_text(
        json.dumps([item, {"no": 1}, {**item, "description": None, "answers": []}], ensure_ascii=False)
    )
    first, broken, last = read("psyqa", tmp_path)
    assert (
        first.key == "7"
        and first.words("client") == "问\n述"
        and first.words("counsellor") == "答"
        and first.keywords == ["学业", "情绪"]
    )
    assert isinstance(broken, Broken) and len(last.turns) == 1


def test_a_broken_array_keeps_what_came_before(tmp_path):
    good = {"question": "问", "answers": []}
    (tmp_path / "q.json").write_text(json.dumps([good, good]).replace("]}]", "]},\n{broken"))
    found = read("psyqa", tmp_path)
    assert [type(item) for item in found] == [Record, Record, Broken] and found[-1].line == 2


def test_json_streams_over_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("mindgauge.readers.text.CHUNK", 7)
    values = [1, "一二三四五六七八", {"a": [1, 2]}, 12345678901, None]
    (tmp_path / "a.json").write_text(json.dumps(values, ensure_ascii=False, indent=1))
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(value) for value in values))
    for name in ("a.json", "b.jsonl"):
        found = list(json_items(tmp_path / name))
        assert [value for _, value in found] == values
    assert [line for line, _ in found] == [1, 2, 3, 4, 5]


def test_smile_and_psysuicide(tmp_path):
    (tmp_path / "1.json").write_text(
        json.dumps([{"role": "client", "content": "甲"}, {"role": "counselor", "content": "乙"}])
    )
    assert [turn.role for turn in read("smile", tmp_path)[0].turns] == ["client", "counsellor"]
    rows = [
        {"text": "甲", "labels": ["自伤行为", "主动自杀意图"]},
        {"text": "乙", "labels": ["他人攻击行为"]},
        {"text": "丙", "labels": ["与自杀/自伤/攻击行为无关"]},
    ]
    (tmp_path / "1.json").write_text(json.dumps(rows))
    first, broken, last = read("psysuicide", tmp_path)
    assert (
        first.labels == {"risk_flag": "suicidal"}
        and isinstance(broken, Broken)
        and last.labels == {"risk_flag": "none"}
    )


def test_tables(tmp_path):
    (tmp_path / "t.csv").write_text("words,risk\n甲,none\n,none\n", encoding="utf-8-sig")
    record, broken = read("csv", tmp_path / "t.csv", text="words", risk_flag="risk")
    assert record.labels == {"risk_flag": "none"} and isinstance(broken, Broken) and broken.line == 3


@pytest.mark.parametrize("reader", ["cpsycound", "psyqa", "smile"])
def test_another_format_is_named(reader):
    with pytest.raises(UserError, match="reader: cpsycoune") as error:
        readers.check(reader, SAMPLE / "CPsyCounE", "mine", {})
    assert "sources.mine" in str(error.value)


def test_lines_before_the_first_role_are_no_turn():
    assert turns_of(["标题", "来访者：甲"])[0].text == "甲"
    assert PREFIX.match("心理咨询师（扮演丈夫）： 乙") and not PREFIX.match("我对妈妈说：走吧")
