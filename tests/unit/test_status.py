"""What the status says of a run, from made-up recipes, logs, stamps and a store."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest
from conftest import ROOT

from mindgauge import slurm, states
from mindgauge.files import write_json, write_text

TRAINING = """train tiny {key}
step 9/300, 0.31/s, 15 min 40 s left, loss 0.4831
step 51/300, 0.36/s, 11 min 34 s left, eval_loss 0.1995
"""


def key(number):
    return f"{number:020x}"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Plans an entry, and writes its log, makes it or has a process at work on it, if asked to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(states, "queue", lambda: None)

    def plan(step, *names, number=1, log=None, made=False, work=None, params=None, date=None):
        where = "/".join([step, *names, key(number)])
        recipe = tmp_path / f"results/.recipes/{where}.json"
        write_json(
            recipe,
            {"recipe": {"params": params or {}}, "store": {"path": "results/.store", "group": False}},
        )
        if date:
            os.utime(recipe, (date, date))
        if log is not None:
            write_text(tmp_path / f"results/logs/{where}.log", log)
        if made:
            write_json(tmp_path / f"results/.store/{where}/manifest.json", {})
            write_text(tmp_path / f"results/.entries/{where}", where)
        if work:
            (tmp_path / f"results/.store/.aside/{where.replace('/', '+')}.{work}").mkdir(parents=True)

    return plan


def of(name):
    return next(line for line in states.look()[0] if line.name == name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("step 157/300, 0.31/s, 7 min 40 s left, loss 0.1364", ("steps", 157, 300, 0.31, "7 min 40 s", 0.1364, None)),
        (TRAINING, ("steps", 51, 300, 0.36, "11 min 34 s", 0.4831, 0.1995)),
        ("129/285 rows, held to valid answers, 17.2/s, 9 s left", ("rows, held to valid answers", 129, 285, 17.2, "9 s", None, None)),
        ("660 records, 519.5/s", ("records", 660, None, 519.5, None, None, None)),
    ],
)  # fmt: skip
def test_lines_of_progress_are_read(text, found):
    read = states.read_progress(text)
    assert (read.what, read.done, read.total, read.rate, read.left, read.loss, read.eval_loss) == found


def test_what_is_no_progress_is_none():
    assert states.read_progress("Loading weights: 100%|███| 38/38 [00:00<00:00, 23528.72it/s]\n我觉得很累\n") is None


def test_nothing_planned_is_said(run):
    assert states.look() == ([], None)
    assert "nothing was planned" in states.table([], None)


def test_a_running_training_tells_its_steps_loss_and_time_left(run):
    run("unify", made=True)
    run("base", "tiny", made=True)
    run("train", "tiny", log=TRAINING, work=f"{os.uname().nodename}.{os.getpid()}")
    run("merge", "tiny")
    assert of("data and labels").state == "done"
    line = of("tiny")
    assert (line.state, line.done, len(line.entries)) == ("running", 1, 3)
    shown = states.table(*states.look())
    for part in ("train", "51/300 steps", "0.4831", "0.36/s", "11 min 34 s"):
        assert part in shown
    assert json.loads(json.dumps(states.plain(*states.look())))["lines"][1]["entries"][1]["progress"]["done"] == 51


def test_a_failed_job_names_its_log_and_no_text_of_it(run):
    run("train", "tiny", log="mindgauge: the disk is full\n  where: /x\n")
    run("evaluate", "tiny", "base", log="我不想活了\nTraceback (most recent call last):\n  ...\n")
    shown = states.table(*states.look())
    assert of("tiny").state == "failed"
    assert "train failed: the disk is full" in shown and f"results/logs/train/tiny/{key(1)}.log" in shown
    assert "evaluate base failed\n" in shown and "不想" not in shown


def test_a_killed_job_is_stopped(run):
    run("train", "tiny", log=TRAINING + "stopped at step 59/300; a retry resumes from here\n")
    assert of("tiny").state == "stopped"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    run("merge", "tiny", log="merge tiny\n", work=f"{os.uname().nodename}.{gone.pid}")
    old = f"results/logs/merge/tiny/{key(1)}.log"
    os.utime(old, (1, 1))
    assert {entry.step: entry.state for entry in of("tiny").entries} == {"train": "stopped", "merge": "stopped"}


def test_the_newest_plan_counts(run):
    run("train", "tiny", number=1, made=True, date=1000)
    os.utime(f"results/.entries/train/tiny/{key(1)}", (1000, 1000))
    run("train", "tiny", number=2)
    assert [(entry.key, entry.state) for entry in of("tiny").entries] == [(key(2), "waiting")]


def test_models_and_variants_of_an_earlier_plan_are_left_out(run):
    run("report", params={"models": ["tiny"]})
    run("judge", "tiny", params={"variants": ["base", "Q8_0"], "quants": ["Q8_0"]})
    for model, variant in (("tiny", "base"), ("tiny", "Q4_0"), ("left", "base")):
        run("evaluate", model, variant)
    assert [line.name for line in states.look()[0]] == ["tiny", "report"]
    assert [entry.title for entry in of("tiny").entries] == ["evaluate base", "judge"]


def test_slurm_numbers_are_found_by_key(run, monkeypatch, tmp_path):
    run("train", "a")
    run("train", "b", number=2)
    run("train", "c", number=3)
    log = tmp_path / f".snakemake/slurm_logs/rule_make_train/a_{key(1)}/41.log"
    write_text(log, "")
    write_text(
        tmp_path / ".snakemake/log/1.snakemake.log",
        f"Job 5 has been submitted with SLURM jobid 42 (log: {log.parents[1]}/b_{key(2)}/42.log).\n3 of 9 steps (33%) done\n",
    )
    assert states.look()[1] == (3, 9)
    assert [(of(name).state, of(name).entries[0].slurm) for name in "abc"] == [("queued", "41"), ("queued", "42"), ("waiting", None)]  # fmt: skip
    # A cluster that keeps no comments: by number.
    monkeypatch.setattr(states, "queue", lambda: slurm.parse_queue("42|RUNNING|(null)\n"))
    assert of("b").state == "running"
    listed = f"41|RUNNING|rule_make_train_wildcards_a_{key(1)}\n43|PENDING|rule_make_train_wildcards_c_{key(3)}\n9|RUNNING|other\n"
    monkeypatch.setattr(states, "queue", lambda: slurm.parse_queue(listed))
    assert [(of(name).state, of(name).entries[0].slurm) for name in "abc"] == [("running", "41"), ("waiting", "42"), ("queued", "43")]  # fmt: skip


def test_without_squeue_there_is_no_queue(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.queue() is None
    program = tmp_path / "squeue"
    program.write_text(f"#!/bin/sh\necho '7|RUNNING|rule_make_train_wildcards_m_{key(1)}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert slurm.queue() == {key(1): slurm.Job("7", "RUNNING"), "7": slurm.Job("7", "RUNNING")}


def test_the_program_writes_nothing(run, tmp_path):
    run("train", "tiny", log=TRAINING, made=True)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow/scripts")}
    for options in ([], ["--json"]):
        command = [sys.executable, str(ROOT / "workflow/scripts/status.py"), *options]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        assert "tiny" in said and "done" in said
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_every_step_of_the_rules_has_its_place():
    text = (ROOT / "rules/common.smk").read_text(encoding="utf-8")
    steps = re.findall(r'^    "(\w+)": \[', text.partition("STEPS = {")[2].partition("}")[0], re.MULTILINE)
    assert len(steps) > 20 and set(steps) == {*states.DATA, *states.MODEL, *states.REST}
