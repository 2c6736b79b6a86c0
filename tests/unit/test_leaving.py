"""The last look at what leaves, and the crate itself, in small."""

import json
import zipfile
from pathlib import Path

import pytest
from small_crate import made

from mindgauge import croissant, leaving
from mindgauge.errors import UserError
from mindgauge.files import sha256_file, write_jsonl
from mindgauge.records import Record, Turn
from mindgauge.shareable import brief, without_places

SAID = "这几天一直睡不着觉，脑子里停不下来想考试的事情"


def test_places_and_addresses_do_not_leave():
    given = {"a": "/x/y", "b": ["~/y", "data/raw", "../z", "C:\\u"], "url": "http://h", "n": 1, "c": "https://a/b"}
    held = "(outside the clone)"
    assert without_places(given) == {"a": held, "b": [held, "data/raw", held, held], "n": 1, "c": "https://a/b"}


def test_long_texts_are_known_by_their_hash():
    found = brief({"a": ["short", "two\nlines"], "b": "x" * 201})
    assert found["a"][0] == "short" and found["a"][1]["characters"] == 9 and found["b"]["characters"] == 201


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("at /scratch/clone/results", "path"),
        ("at /home/someone", "path"),
        ("a hf_0123456789 b", "HF_TOKEN"),
    ],
)
def test_a_place_or_a_secret_is_refused_by_file_and_never_shown(content, said):
    with pytest.raises(UserError) as refused:
        leaving.refuse_places({"a.json": content.encode()}, [Path("/scratch/clone")], {"HF_TOKEN": "hf_0123456789"})
    assert said in refused.value.message() and "a.json" in refused.value.message()
    assert "someone" not in refused.value.message() and "hf_0" not in refused.value.message()


def test_what_is_no_place_passes():
    files = {"a": b"/scratch/clones are many; 1 and true; / is the root"}
    leaving.refuse_places(files, [Path("/scratch/clone"), Path("/")], {"API_KEY": "true", "LANG": "are many"})


def test_text_of_a_record_is_refused_wherever_it_was_said():
    record = Record(
        "s", "k", "qa", [Turn("client", "嗯"), Turn("counsellor", SAID)], question="题目" + SAID[::-1], id="5e"
    )
    leaving.refuse_records({"a": "没有什么在这里".encode()}, [record])
    for text in (SAID, "“" + SAID[::-1] + "”"):
        with pytest.raises(UserError) as refused:
            leaving.refuse_records({"b": b"", "a": f"x {text} y".encode()}, [record])
        assert text not in refused.value.message() and record.id in refused.value.message()


def test_croissant_reads_the_rows_it_describes(tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    write_jsonl(tmp_path / "val.jsonl", [{"id": "a", "themes": ["exam", "peers"], "input": "你好"}])
    files = {"val.jsonl": {"sha256": sha256_file(tmp_path / "val.jsonl"), "size": 1}}
    found = croissant.described("rows", "Rows.", files, ("id", "themes", "input"), ["MIT"])
    assert found == croissant.described("rows", "Rows.", files, ("id", "themes", "input"), ["MIT"])
    (tmp_path / "croissant.json").write_text(json.dumps(found))
    rows = list(mlcroissant.Dataset(jsonld=tmp_path / "croissant.json").records("val"))
    assert rows == [{"val/id": b"a", "val/themes": [b"exam", b"peers"], "val/input": "你好".encode()}]


def test_the_same_run_is_the_same_crate(tmp_path):
    pytest.importorskip("rocrate")
    first = made(tmp_path / "a")
    assert first.read_bytes() == made(tmp_path / "b").read_bytes()
    with zipfile.ZipFile(first) as packed:
        graph = {of["@id"]: of for of in json.loads(packed.read("ro-crate-metadata.json"))["@graph"]}
        assert set(packed.namelist()) == {*graph} & {*packed.namelist()} and "Snakefile" in packed.namelist()
    assert graph["#run"]["instrument"] == {"@id": "Snakefile"} and graph["./"]["mainEntity"] == {"@id": "Snakefile"}
    assert graph["#run"]["result"] == [{"@id": "results/manifest.json"}] or graph["#run"]["result"] == {
        "@id": "results/manifest.json"
    }
    assert str(tmp_path) not in json.dumps(graph)
