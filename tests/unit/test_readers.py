import json
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgauge import ingesting, readers
from mindgauge.errors import UserError
from mindgauge.files import read_json
from mindgauge.readers.roles import PREFIX, turns_of
from mindgauge.readers.text import Seen, json_values
from mindgauge.records import Broken, Record, from_line, to_line

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
        found = list(json_values(tmp_path / name, Seen()))
        assert [one.value for one in found] == values
    assert [one.line for one in found] == [1, 2, 3, 4, 5]


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
    record, broken = read("table", tmp_path / "t.csv", text="words", risk_flag="risk")
    assert record.labels == {"risk_flag": "none"} and isinstance(broken, Broken) and broken.line == 3


@pytest.mark.parametrize("reader", ["cpsycound", "psyqa", "smile"])
def test_another_format_is_named(reader):
    with pytest.raises(UserError, match="reader: cpsycoune") as error:
        readers.check(reader, SAMPLE / "CPsyCounE", "mine", {})
    assert "sources.mine" in str(error.value)


def test_lines_before_the_first_role_are_no_turn():
    seen = Seen()
    assert turns_of(["标题", "来访者：甲"], seen)[0].text == "甲" and seen.roles["(before the first role)"] == 1
    assert PREFIX.match("心理咨询师（扮演丈夫）： 乙") and not PREFIX.match("我对妈妈说：走吧")


def test_alpaca_holds_its_history_in_order(tmp_path):
    rows = [
        {"instruction": "丙", "input": "", "output": "丁", "history": [["甲", "乙"]], "system": "无人说的话", "id": 7},
        {"instruction": "甲", "output": "乙"},
        {"instruction": "甲"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows, ensure_ascii=False))
    first, second, broken = read("alpaca", tmp_path)
    assert [(turn.role, turn.text) for turn in first.turns] == [
        ("client", "甲"),
        ("counsellor", "乙"),
        ("client", "丙"),
        ("counsellor", "丁"),
    ]
    assert (first.key, second.key) == ("7", "a-1") and broken == Broken("a.json", 1, "output: Field required")


def test_messages_in_their_three_forms(tmp_path):
    said = [("user", "甲"), ("assistant", "乙")]
    forms = [
        {"messages": [{"role": "system", "content": "无人"}, *({"role": r, "content": c} for r, c in said)]},
        {"conversations": [{"from": {"user": "human", "assistant": "gpt"}[r], "value": c} for r, c in said]},
        {"conversation": [{"system": "无人", "input": "甲", "output": "乙"}]},
        {"messages": [{"role": "narrator", "content": "丙"}]},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(form, ensure_ascii=False) for form in forms))
    *found, broken = read("messages", tmp_path)
    for record in found:
        assert [(turn.role, turn.text) for turn in record.turns] == [("client", "甲"), ("counsellor", "乙")]
    assert len(found) == 3 and broken.line == 4 and "narrator" not in broken.reason


def test_tables_in_every_form_hold_the_same_rows(tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [{"words": "甲\n乙", "reply": "丙", "no": "k1", "risk": "none", "level": 2}]
    columns = {"text": "words", "answer": "reply", "key": "no", "risk_flag": "risk", "depression_level": "level"}
    (tmp_path / "t.jsonl").write_text(json.dumps(rows[0], ensure_ascii=False))
    (tmp_path / "t.json").write_text(json.dumps(rows, ensure_ascii=False))
    (tmp_path / "t.csv").write_bytes('words,reply,no,risk,level\r\n"甲\n乙",丙,k1,none,2\r\n'.encode("gb18030"))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    for name in ("t.jsonl", "t.json", "t.csv", "t.parquet"):
        (record,) = read("table", tmp_path / name, **columns)
        assert (record.key, record.words("client"), record.words("counsellor")) == ("k1", "甲\n乙", "丙"), name
        assert record.labels == {"risk_flag": "none", "depression_level": 2}, name


def test_nul_bytes_and_marks_are_taken_out(tmp_path):
    (tmp_path / "case_1.txt").write_bytes("\ufeff来访者：甲\0乙\n心理咨询师：丙".encode())
    seen = Seen()
    (record,) = readers.read("cpsycound", tmp_path, "s", "train", {}, seen=seen)
    assert record.words("client") == "甲乙" and seen.nul_bytes == 1 and seen.encodings == {"utf-8-sig": 1}


# Bad input: told with file, line and reason, and everything else is still read.

GOOD = "来访者：甲\n心理咨询师：乙\n"


def test_a_wrong_encoding_costs_its_file_alone(tmp_path):
    (tmp_path / "case_1.txt").write_text(GOOD, encoding="utf-8")
    (tmp_path / "case_2.txt").write_bytes("来访者：甲\n".encode() + b"\xff\xfe\xff")
    (tmp_path / "q.json").write_bytes(b'[{"question": "\xe9\x97\xae", "answers": []}, {"question": "\xff\xff"}]')
    record, broken = read("cpsycound", tmp_path)
    assert isinstance(record, Record) and broken == Broken("case_2.txt", 2, "neither UTF-8 nor GB18030")
    record, broken = read("psyqa", tmp_path)
    assert record.question == "问" and broken.reason.startswith("neither UTF-8 nor GB18030 from here on")


def test_a_line_of_fifty_megabytes_costs_itself_alone(tmp_path):
    with (tmp_path / "t.jsonl").open("w") as out:
        out.write('{"text": "甲"}\n{"text": "' + "x" * (50 << 20) + '"}\n{"text": "乙"}\n')
    first, broken, last = read("table", tmp_path)
    assert (first.words("client"), last.words("client")) == ("甲", "乙")
    assert broken == Broken("t.jsonl", 2, "a line of over 16 MiB")


def test_what_should_be_a_file_and_is_none_is_told(tmp_path):
    (tmp_path / "case_1.txt").write_text(GOOD)
    (tmp_path / "case_2.txt").mkdir()
    (tmp_path / "case_2.txt/case_3.txt").write_text(GOOD)
    (tmp_path / "case_4.txt").symlink_to("case_4.txt")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "case_5.txt").symlink_to("/proc/self/mem")  # unreadable for root, too
    found = read("cpsycound", tmp_path)
    assert [record.key for record in found if isinstance(record, Record)] == ["case_1", "case_3"]
    assert {(one.file, one.reason) for one in found if isinstance(one, Broken)} == {
        ("case_2.txt", "a directory where a file should be"),
        ("case_4.txt", "a link that leads nowhere, or no file at all"),
        ("round", "a link back to a directory above it"),
        ("case_5.txt", "cannot be read (Input/output error)"),
    }


def test_keys_that_stand_twice_are_counted_and_both_records_kept(tmp_path, scheme):
    rows = [{"text": "甲", "key": "k"}, {"text": "乙", "key": "k"}, {"text": "丙", "key": "l"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ingesting.ingest(tmp_path / "t.jsonl", tmp_path / "out", "s", "table", "train", {}, scheme.to_dict())
    stats = read_json(tmp_path / "out/stats.json")
    assert (stats["kept"], stats["repeated_keys"]) == (3, 1)


# Fuzzing: whatever the bytes, no reader crashes, and every file gives something: a record, or a fault without its text.


def damaged(data: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    """Bytes with pieces put in, over what stands there."""
    for at, piece in cuts:
        at %= len(data) + 1
        data = data[:at] + piece + data[at + len(piece) :]
    return data


SEEDS = {
    "cpsycound": ("case_1.txt", GOOD.encode()),
    "cpsycoune": ("1.json", json.dumps(["求助者：甲", "支持者：乙"], ensure_ascii=False).encode()),
    "psyqa": ("q.json", json.dumps([{"question": "问", "answers": [{"answer_text": "答"}]}] * 3).encode()),
    "smile": ("1.json", json.dumps([{"role": "client", "content": "甲"}]).encode()),
    "psysuicide": ("p.json", json.dumps([{"text": "甲", "labels": ["自伤行为"]}] * 3, ensure_ascii=False).encode()),
    "alpaca": ("a.json", json.dumps([{"instruction": "甲", "output": "乙", "history": [["丙", "丁"]]}] * 3).encode()),
    "messages": ("m.jsonl", b'{"messages": [{"role": "user", "content": "x"}]}\n' * 3),
    "table": ("t.csv", "text,answer,risk_flag\n甲,乙,none\n丙,丁,none\n".encode()),
}
PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"\0", b"\xff\xfe", b"[", b"]", b"{", b'"', b"\\ud800", b"null", b"1e999", b"\r\n", b"NaN", b"[" * 40]
    ),
)


@pytest.mark.parametrize("reader", readers.READERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, 400), PIECES), max_size=5), whole=st.none() | st.binary(max_size=64))
def test_fuzzed_files_never_crash_a_reader(reader, cuts, whole):
    name, data = SEEDS[reader]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, name)
        file.write_bytes(damaged(data, cuts) if whole is None else whole)
        for found in read(reader, file):
            if isinstance(found, Record):
                assert from_line(to_line(found), "here") == found
            else:
                assert found.file and len(found.reason) < 200


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30).map(lambda text: {"text": text}),
            st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda of: st.lists(of, max_size=3)),
        ),
        max_size=12,
    ),
    st.sampled_from(["t.json", "t.jsonl"]),
)
def test_every_fuzzed_row_is_a_record_or_a_fault(rows, name):
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, name)
        lines = [json.dumps(row) for row in rows]
        file.write_text("[" + ",\n".join(lines) + "]" if name == "t.json" else "\n".join(lines))
        found = read("table", file)
    assert len(found) == len(rows)
    for one, row in zip(found, rows, strict=True):
        has_words = isinstance(row, dict) and row["text"].strip() != ""
        assert (
            isinstance(one, Record) or not has_words or not row["text"].replace("\0", "").replace("\ufeff", "").strip()
        )


def test_a_fault_never_quotes_the_file(tmp_path):
    secret = "我真实的话"
    for reader, (name, data) in SEEDS.items():
        text = data.decode("utf-8").replace("甲", secret).encode().decode("utf-8")
        for cut in range(1, len(text)):
            (tmp_path / name).write_text(text[:cut], encoding="utf-8")
            for found in read(reader, tmp_path / name):
                assert isinstance(found, Record) or not any(piece in str(found) for piece in (secret, secret[:3]))
        (tmp_path / name).unlink()
