"""What is meant to leave the machine is searched for canaries: strings planted in what people say, in secrets, names and paths."""

import base64
import gzip
import io
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from clone import Clone
from conftest import ROOT

from mindgauge import tiny_models
from mindgauge.answers import all_answers
from mindgauge.converting import cache

pytestmark = pytest.mark.slow

SAID = {
    "client": "金雀甲客zqclient",
    "counsellor": "金雀乙询zqcounsel",
    "title": "金雀丙题zqtitle",
    "description": "金雀丁述zqdescribed",
    "answer": "金雀戊答zqanswer",
    "gold": "金雀己金zqgold",
    "file": "zqrawfile",
}
SECRETS = {
    "OPENAI_API_KEY": "sk-zqcanary-openai-0a1b2c",
    "HF_TOKEN": "hf_zqcanaryhubtoken0a1b2c",
    "WANDB_API_KEY": "zqcanarywandb0a1b2c3d4e5f",
}
USER = "zqcanaryuser"
# Where corpora and models often lie: beside the home, which logs name `~`.
PLACE = "zqcanaryplace"
FEW = """
models: [tiny-qwen2]
bundle: {{despite_gates: [tiny-qwen2]}}
label: {{shards: 1}}
export: {{leave_out_restricted: true}}
sft: {{val: 0.2, test: 0.2}}
bench: {{repetitions: 1, generated_tokens: 8, prompt_tokens: 32}}
quantise: {{imatrix_rows: 8}}
sources:
  cpsycound: {{path: {raw}/CPsyCounD}}
  psyqa: {{path: {raw}/PsyQA, redistribute: false}}
  gold: {{path: {raw}/gold.jsonl}}
extra_models:
  tiny-qwen2: {{path: {model}}}
"""


def plant(raw: Path) -> None:
    """A few records of the sample, every one with canaries in it."""
    sample = ROOT / "data/sample"
    (raw / "CPsyCounD").mkdir(parents=True)
    for number, path in enumerate(sorted((sample / "CPsyCounD").glob("*.txt"))[:24]):
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[0] += SAID["client"] + "。"
        lines[1] += SAID["counsellor"] + "。"
        (raw / f"CPsyCounD/{SAID['file']}_{number}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    questions = json.loads((sample / "PsyQA/psyqa.json").read_text(encoding="utf-8"))[:24]
    for question in questions:
        question["question"] = (question["question"] or "") + SAID["title"]
        question["description"] = (question["description"] or "") + SAID["description"]
        for answer in question["answers"]:
            answer["answer_text"] = (answer["answer_text"] or "") + SAID["answer"]
    (raw / "PsyQA").mkdir()
    (raw / "PsyQA/psyqa.json").write_text(json.dumps(questions, ensure_ascii=False), encoding="utf-8")
    rows = [json.loads(line) for line in (sample / "gold.jsonl").read_text(encoding="utf-8").splitlines()[:12]]
    text = "".join(json.dumps({**row, "text": row["text"] + SAID["gold"]}, ensure_ascii=False) + "\n" for row in rows)
    (raw / "gold.jsonl").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def clone(tmp_path_factory, scheme):
    """A clone below a telling home, raw data and models in a telling place beside it, with everything made that is meant to leave."""
    home, place = tmp_path_factory.mktemp("homes") / USER, tmp_path_factory.mktemp("shared") / PLACE
    plant(place / "raw")
    for name in ("tiny-qwen2", "tiny-llama"):
        tiny_models.make(name, ROOT / "data/sample", all_answers(scheme)[::37], place / "models" / name, steps=2)
    kept = str(cache())  # below the home that is there now
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINDGAUGE_CACHE", kept)
        for name, value in {**SECRETS, "HOME": str(home), "USER": USER, "LOGNAME": USER}.items():
            patch.setenv(name, value)
        made = Clone.new(home / "clone", home / "store", place / "models")
        overlay = FEW.format(raw=place / "raw", model=place / "models/tiny-qwen2")
        (made.root / "few.yaml").write_text(overlay)
        made.snakemake("all", "crate", "export", overlays=("few.yaml",))
    return made


def members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """A file, and what lies compressed or encoded in it."""
    yield name, content
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for member in packed.namelist():
                yield f"{name}: {member}", member.encode()
                yield from members(f"{name}: {member}", packed.read(member))
    if content[:4] == b"\x89PNG":
        place = 8
        while place < len(content):
            size, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
            text = content[place + 8 : place + 8 + size]
            # keyword, 0, then the method (zTXt); or flag, method, language, 0, translated keyword, 0 (iTXt)
            rest = text.partition(b"\0")[2]
            if kind == b"zTXt":
                yield f"{name}: zTXt", zlib.decompress(rest[1:])
            if kind == b"iTXt" and rest[:1] == b"\1":
                yield f"{name}: iTXt", zlib.decompress(rest[2:].split(b"\0", 2)[2])
            place += size + 12
    if name.endswith(".html"):
        for found in re.finditer(rb"data:[\w/+.-]+;base64,([A-Za-z0-9+/=]+)", content):
            yield from members(f"{name}: data", base64.b64decode(found[1]))
        for found in re.finditer(rb"[\">](H4sI[A-Za-z0-9+/=]+)", content):  # folded plots and the plots' library
            yield from members(f"{name}: packed", gzip.decompress(base64.b64decode(found[1])))


def leaving(clone: Clone) -> Iterator[Path]:
    """Every file that is meant to leave. Of an export all but the rows, which are what it is for."""
    results = clone.root / "results"
    yield from (results / name for name in ("manifest.json", "crate.zip"))
    for directory in ("report", "logs", "models", "eval", "base"):
        yield from (path for path in (results / directory).rglob("*") if path.is_file())
    yield from (results / "data").rglob("stats*.json")
    yield from (
        results / f"labels/{name}" for name in ("stats.json", "gold.json", "needs_review.csv", "audit_weights.json")
    )
    yield from (path for path in (results / "labels/repro_package").rglob("*") if path.is_file())
    yield from (results / f"sft/{name}" for name in ("stats.json", "dataset_info.json"))
    yield from (path for path in (results / "export").iterdir() if path.suffix != ".jsonl")
    yield from (clone.root / "report").glob("*.rst")


def test_the_canaries_are_in_what_stays(clone):
    results = clone.root / "results"
    held = {
        name: (results / name).read_text(encoding="utf-8") for name in ("data/unified_min.jsonl", "data/gold.jsonl")
    }
    for what in ("client", "counsellor", "title", "description", "answer"):
        assert SAID[what] in held["data/unified_min.jsonl"], what
    assert SAID["gold"] in held["data/gold.jsonl"]
    assert SAID["client"] in (results / "sft/train.jsonl").read_text(encoding="utf-8")
    # What may be passed on is in the export, and nothing else.
    rows = "".join(path.read_text(encoding="utf-8") for path in (results / "export").glob("*.jsonl"))
    assert SAID["client"] in rows and SAID["description"] not in rows


def test_nothing_that_leaves_holds_a_canary(clone):
    canaries = {**SAID, **SECRETS, "user or path": USER, "shared path": PLACE}
    wanted = {what: [value.encode(), json.dumps(value)[1:-1].encode()] for what, value in canaries.items()}
    searched, found, packed = set(), set(), set()
    for path in leaving(clone):
        for name, content in members(path.relative_to(clone.root).as_posix(), path.read_bytes()):
            searched.add(Path(name).suffix)
            packed |= {content[:4]} if name.endswith(": packed") else set()
            found |= {(what, name) for what, forms in wanted.items() if any(form in content for form in forms)}
    assert {".html", ".json", ".log", ".md", ".gguf", ".png", ".zip", ".rst"} <= searched
    assert b"<svg" in packed and len(packed) > 1
    assert not found, sorted(found)


def test_the_report_of_snakemake_holds_no_canary(clone):
    clone.snakemake("--report", "results/report.zip", "--", "all", overlays=("few.yaml",))
    canaries = {**SAID, **SECRETS, "user or path": USER, "shared path": PLACE}
    found = {
        (what, name)
        for name, content in members("report.zip", (clone.root / "results/report.zip").read_bytes())
        for what, value in canaries.items()
        if value.encode() in content or json.dumps(value)[1:-1].encode() in content
    }
    assert not found, sorted(found)


def test_the_crate_holds_cards_and_figures_and_neither_weights_nor_rows(clone):
    with zipfile.ZipFile(clone.root / "results/crate.zip") as packed:
        held = set(packed.namelist())
    assert {f"results/{name}" for name in ("manifest.json", "report/index.html", "sft/croissant.json")} <= held
    assert {
        "ro-crate-metadata.json",
        "results/sft/README.md",
        "config/config.yaml",
        "Snakefile",
        "envs/lock.txt",
    } <= held
    assert any(fnmatch(name, "results/models/tiny-qwen2/bundle/*/README.md") for name in held)
    assert not [name for name in held if name.endswith((".gguf", ".safetensors"))]
    assert {name for name in held if name.endswith(".jsonl")} <= {"results/data/groups.jsonl"}


def test_the_crate_is_made_again_to_the_same_bytes(clone):
    packed = clone.root / "results/crate.zip"
    before = packed.read_bytes()
    shutil.rmtree(packed.resolve().parent)
    packed.unlink()
    assert "make_crate" in clone.ran("crate", overlays=("few.yaml",))
    assert packed.read_bytes() == before
