"""What a run would make and why, from made-up recipes, gates and a store; no step is run."""

import os
import subprocess
import sys
from pathlib import Path

import pretended
import pytest
from conftest import ROOT

from mindgauge import raw
from mindgauge.changes import compare
from mindgauge.config import Settings, overlaid
from mindgauge.errors import UserError
from mindgauge.files import write_json, write_text
from mindgauge.forecast import Forecaster, forecast, text
from mindgauge.plan import TARGETS, Plan, gate_file

OVERLAY = """
models: [a, b]
bundle: {despite_gates: [a, b]}
extra_models:
  a: {path: raw/a, licence: MIT, family: llama3, context: 2048}
  b: {path: raw/b, licence: MIT, family: llama3, context: 2048}
"""


def recipe(**parts):
    return {"code": "c", "packages": ["trl==1.15"], "params": {}, "inputs": {}, "lists": {}, **parts}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"code": "d"}, {}, ["code"]),
        ({}, {"packages": ["trl==1.16"]}, ["packages: trl 1.15 -> 1.16"]),
        ({"packages": ["torch build: cpu"]}, {"packages": ["torch build: cuda12.8"]}, ["packages: torch build cpu -> cuda12.8"]),
        ({"params": {"train": {"learning_rate": 0.003, "seed": 1}}}, {"params": {"train": {"learning_rate": 0.001, "seed": 1}}}, ["params.train.learning_rate 0.003 -> 0.001"]),
        ({"params": {}}, {"params": {"rows": 8}}, ["params.rows nothing -> 8"]),
        ({"inputs": {"sft": "content:1", "merge": "a"}}, {"inputs": {"sft": "content:2", "merge": "b"}}, ["inputs.merge (made anew)", "inputs.sft (another content)"]),
        ({"lists": {"gguf": ["a"]}}, {"lists": {"gguf": ["a", "b"]}}, ["lists.gguf (made anew)"]),
        ({"inputs": {"imatrix": "a"}}, {}, ["inputs.imatrix (no longer read)"]),
    ],
)  # fmt: skip
def test_the_part_that_changed_is_named(old, new, said):
    assert compare(recipe(**old), recipe(**new)) == said


def test_texts_and_secrets_are_not_shown():
    old = {
        "instruction": "我不想活了" * 20,
        "api_key": "abc",
        "url": "http://me:pw@node/v1",
        "kinds": ["x" * 40, "y" * 40],
    }
    new = {"instruction": "我不想活了" * 21, "api_key": "def", "url": "http://me:pw@other/v1", "kinds": ["x" * 40, "z" * 40]}  # fmt: skip
    said = compare(recipe(params=old), recipe(params=new))
    assert said == [
        "params.api_key",
        "params.instruction (a text of 100 characters, now of 105)",
        "params.kinds (1 of 2 items are new)",
        "params.url http://…@node/v1 -> http://…@other/v1",
    ]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone without results, with two base models of a few bytes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINDGAUGE_STORE", raising=False)
    for name in ("config", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in "ab":
        write_text(tmp_path / f"raw/{name}/config.json", name)
    (tmp_path / "overlay.yaml").write_text(OVERLAY)
    return tmp_path


def settings(**changes):
    found = overlaid([Path("config/demo.yaml"), Path("overlay.yaml")])
    return Settings(found | changes)


def pretend(configured):
    """Makes, without running a step, what the forecast says, until nothing is left. Returns what was made, in order."""
    made = []
    for _ in range(20):
        forecaster = Forecaster(configured)
        found = forecast(configured, ["all"])
        if not (found.hashed or found.needed or found.unknown):
            return made
        for name in found.hashed:
            token = Plan(configured, lambda *_: {}, main=True).raw_token(name)
            raw.hash_source(Path(token), Path(gate_file(f"raw/{name}")))
        for one in found.needed:
            planned = forecaster.plan.recipe(one.step, *one.names)
            pretended.pretend(forecaster.plan.store, planned, {"buckets": {"00": "x", "01": "y"}})
            write_text(Path(f"results/logs/{planned.where}.log"), f"{one.step}: done in 1 min 40 s\n")
            made.append(one.title)
    raise AssertionError("never done")


def test_before_the_first_run_the_raw_files_are_all_that_is_known(clone):
    found = forecast(settings(), ["all"])
    assert set(found.hashed) == {"cpsycound", "cpsycoune", "psyqa", "gold", "base-a", "base-b"}
    assert not found.needed and "raw/cpsycound" in found.unknown
    said = text(found)
    assert "not known before the gate raw/" in said and "GPU hours: none; behind gates up to: unknown" in said
    assert not (clone / "results").exists()


def test_every_step_is_forecast_and_then_nothing(clone):
    made = pretend(settings())
    assert len(made) == len(set(made))
    expected = {
        "ingest psyqa",
        "unify",
        "label 0-keywords 1",
        "train a",
        "fidelity b",
        "evaluate b adapter",
        "catalogue",
    }
    assert expected <= set(made)
    assert "nothing is to be made" in text(forecast(settings(), ["all"]))


def test_a_learning_rate_is_the_reason_of_one_model_and_what_hangs_on_it(clone):
    pretend(settings())
    before = {path: path.lstat().st_mtime_ns for path in clone.rglob("*")}
    changed = settings(train={**settings().config.train.model_dump(), "learning_rate": 0.001})
    found = forecast(changed, ["results/models/a/merged/config.json"])
    assert [one.title for one in found.needed] == ["train a", "merge a"] and not found.unknown
    assert found.needed[0].why == ["params.train.learning_rate 0.003 -> 0.001"]
    assert found.needed[1].why == ["inputs.train (made anew)"]
    said = text(found)
    for part in ("jobs: 2 (train 1, merge 1)", "about 3 min 20 s", "GPU hours: about 0.03", "disk: about 0.0 MB"):
        assert part in said, said
    assert {path: path.lstat().st_mtime_ns for path in clone.rglob("*")} == before


def test_what_hangs_on_a_gate_is_not_known(clone):
    pretend(settings())
    sft = settings().config.sft.model_dump()
    found = forecast(settings(sft={**sft, "test": 0.3}), ["train"])
    assert [(one.title, one.why) for one in found.needed] == [("make_sft", ["params.test 0.2 -> 0.3"])]
    assert {gate: [one.title for one in behind] for gate, behind in found.unknown.items()} == {
        "sft": ["train a", "train b"]
    }
    assert "GPU hours: none; behind gates up to: about 0.06" in text(found)


def test_a_changed_raw_file_is_looked_at_first(clone):
    pretend(settings())
    write_text(clone / "raw/a/config.json", "other")
    found = forecast(settings(), ["train"])
    assert found.hashed == ["base-a"] and list(found.unknown) == ["base/a", "raw/base-a"]


def test_a_lost_entry_is_made_again(clone):
    pretend(settings())
    entry = next(Path("results/.store/merge/a").iterdir())
    (entry / "manifest.json").unlink()
    assert [(one.title, one.why) for one in forecast(settings(), ["all"]).needed] == [("merge a", [])]


def test_a_training_says_itself_how_long_it_took(clone):
    pretend(settings())
    entry = next(Path("results/.store/train/a").iterdir())
    write_json(entry / "run.json", {"seconds": 7200.0})
    changed = settings(train={**settings().config.train.model_dump(), "seed": 7})
    assert [one.seconds for one in forecast(changed, ["train"]).needed] == [7200.0, 100.0]


def test_every_named_target_is_known_and_others_are_refused(clone):
    for target in TARGETS:
        assert Forecaster(settings()).wanted(target), target
    with pytest.raises(UserError, match="no such target"):
        forecast(settings(), ["trian"])


def test_the_program(clone):
    command = [
        sys.executable,
        str(ROOT / "workflow/scripts/why.py"),
        "--configfile",
        "config/demo.yaml",
        "overlay.yaml",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow/scripts")}
    done = subprocess.run([*command, "--", "train"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "raw files to look at first" in done.stdout
    (clone / "raw/a/config.json").unlink()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "is empty" in done.stderr and "Traceback" not in done.stderr
    assert not (clone / "results").exists()
