"""What may leave the machine, and what is there before anything starts."""

import subprocess
import sys

import pytest
from conftest import ROOT

from mindgauge import checking, exporting, licences
from mindgauge.config import Source
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, write_json, write_jsonl
from mindgauge.records import Record, Turn

SAID = "这学期开始以后我每天都睡不好白天上课总是走神"
SOURCES = {
    "open": {"licence": "CC0", "notice": "thanks to nobody", "redistribute": True},
    "closed": {"licence": "by agreement", "notice": "", "redistribute": False},
}


def sft(tmp_path, *used):
    """The supervised rows of some sources, one a split and source."""
    splits = ("train", "val", "test", "gold")
    for split in splits:
        rows = [{"id": source, "source": source, "instruction": "i", "input": SAID, "output": "{}"} for source in used]
        write_jsonl(tmp_path / f"{split}.jsonl", rows)
    write_json(tmp_path / "stats.json", {"splits": {split: {"sources": dict.fromkeys(used, 1)} for split in splits}})
    return tmp_path


def test_an_export_with_closed_text_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="closed, which may not be passed on") as error:
        exporting.export(sft(tmp_path, "open", "closed"), tmp_path / "out", SOURCES, False)
    assert "sources.closed.redistribute" in str(error.value) and SAID[:4] not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_closed_rows_are_left_out_where_that_is_asked_for(tmp_path):
    out = tmp_path / "out"
    exporting.export(sft(tmp_path, "open", "closed"), out, SOURCES, True)
    for split in ("train", "val", "test", "gold"):
        assert [set(row) for row in read_jsonl(out / f"{split}.jsonl")] == [{"instruction", "input", "output"}]
    card, notices = (out / "README.md").read_text(), (out / "NOTICES.md").read_text()
    assert "4 rows of sources whose text may not be passed on were left out" in card
    assert "thanks to nobody" in notices and "closed" not in notices + card
    assert read_json(out / "dataset_info.json")["mindgauge_train"]["file_name"] == "train.jsonl"
    assert len((out / "checksums.txt").read_text().splitlines()) == 8


def test_an_export_of_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing is left to export"):
        exporting.export(sft(tmp_path, "closed"), tmp_path / "out", SOURCES, True)


@pytest.mark.parametrize(
    ("source", "said", "refused"), [("closed", SAID, True), ("open", SAID, False), ("closed", "别的", False)]
)
def test_a_bundle_with_closed_text_in_a_file_is_refused(tmp_path, source, said, refused):
    (tmp_path / "prompt.txt").write_text(f"例如：{SAID[2:]}。")
    (tmp_path / "weights.gguf").write_bytes(SAID.encode())  # weights are no text
    records = [Record(source, "k", "qa", [Turn("client", said)], id="0" * 16)]
    if not refused:
        licences.refuse_text(tmp_path.iterdir(), records, SOURCES)
        return
    with pytest.raises(UserError, match=r"prompt\.txt holds text of closed") as error:
        licences.refuse_text(tmp_path.iterdir(), records, SOURCES)
    assert SAID[:4] not in str(error.value)


def test_what_is_there_is_told_before_any_job(tmp_path):
    (tmp_path / "case_1.txt").write_bytes("来访者：甲\n心理咨询师：乙\n".encode("gb18030"))
    (tmp_path / "case_2.txt").write_bytes(b"")
    (tmp_path / "note.md").write_text("x")
    found = [
        checking.check_source("here", Source(path=str(tmp_path), reader="cpsycound")),
        checking.check_source("gone", Source(path=str(tmp_path / "no"), reader="smile")),
        checking.check_source("other", Source(path=str(tmp_path), reader="smile")),
    ]
    assert [bool(one.wrong) for one in found] == [False, True, True]
    said = checking.table(found)
    for part in ("gb18030 1", "here: 1 x no line begins with a role", "1 files of other kinds", "data/README.md"):
        assert part in said, said
    assert "甲" not in said


def test_check_data_of_the_demo():
    program = [sys.executable, ROOT / "workflow/scripts/check_data.py"]
    done = subprocess.run([*program, "--configfile", "config/demo.yaml"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "2 x no line begins with a role" in done.stdout, done.stdout + done.stderr
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    if not (ROOT / "data/raw/PsyQA").exists():
        assert done.returncode == 1 and "data/raw/PsyQA is not there" in done.stdout
