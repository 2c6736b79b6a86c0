"""The store beside killed runs, lost entries and withdrawn records, as real runs; mostly of the data steps, which are quick."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from clone import Clone

from mindgauge import lease

pytestmark = pytest.mark.slow
TRAINED = "results/models/tiny-llama/adapter/run.json"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, tiny):
    """A clone in which the records are labelled."""
    root = tmp_path_factory.mktemp("labelled")
    clone = Clone.new(root / "clone", root / "store", tiny)
    assert {"make_unify", "make_label", "make_merge_labels"} <= set(clone.ran("data", "labels"))
    return clone


def wait_for(condition, process, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end and process.poll() is None, "it did not come"
        time.sleep(0.01)


def test_after_the_driver_was_killed_its_jobs_finish_and_nothing_is_trained_twice(labelled):
    """The training goes on alone; the second run's job waits for it, and takes what it made."""
    (labelled.root / "longer.yaml").write_text("train: {max_steps: 60}")
    process = labelled.start(TRAINED, overlays=("longer.yaml",))
    wait_for(lambda: list((labelled.store / ".leases").glob("train+tiny-llama+*")), process)
    (held,) = (labelled.store / ".leases").glob("train+tiny-llama+*")
    trainer = lease.read(held).get("pid")
    while trainer is None:  # it is created, and not written yet
        trainer = lease.read(held).get("pid")
    process.kill()
    process.wait()
    process.stdout.close()
    labelled.snakemake("--unlock", "--", TRAINED, overlays=("longer.yaml",))
    os.kill(trainer, 0)  # it works still, else this shows nothing
    said = labelled.snakemake(TRAINED, overlays=("longer.yaml",))
    assert "(Rule: make_train)" in said
    ((log,),) = [list((labelled.root / "results/logs/train/tiny-llama").glob("*.log"))]
    text = log.read_text(errors="replace")
    assert f"another job makes this entry (process {trainer} on" in text
    # A job that works begins by saying so; the first one's word went with its log.
    assert "train tiny-llama " not in text and (labelled.root / TRAINED).is_file()
    assert "0 wrong" in labelled.snakemake("verify")


def test_lost_entries_behind_gates_are_made_again_when_they_are_needed(labelled):
    """The gate outlives its entry: whoever reads that next must not find nothing, time and again."""
    entry = labelled.store / json.loads((labelled.root / "results/.gates/minimised.json").read_text())["where"]
    ((read, _),) = json.loads((entry / "manifest.json").read_text())["reads"]
    behind = labelled.store / read
    shutil.move(entry, entry.with_suffix(".away"))
    shutil.move(behind, behind.with_suffix(".away"))
    said = labelled.snakemake("verify", check=False)
    assert labelled.status != 0
    for lost in (entry, behind):
        name = lost.relative_to(labelled.store)
        assert f"missing: {name}; ask for it: results/.entries/{name}" in said
    assert "were withdrawn" not in said  # what the views show is as it was
    ran = set(labelled.ran("labels"))
    assert {"make_unify", "make_minimise"} <= ran and "make_label" not in ran
    assert "0 wrong" in labelled.snakemake("verify")


def test_nothing_is_made_of_a_state_that_the_raw_files_have_left(labelled):
    """Labels were lost and a student's record changed: until all raw files were looked at, no gate tells what to label."""
    entries = [path.parent for path in labelled.store.glob("*abel*/**/manifest.json")]
    assert len(entries) == 4  # three shards, and all of them together
    for entry in entries:
        shutil.move(entry, entry.with_suffix(".away"))
    raw = labelled.root / "data/sample/CPsyCounD/case_100.txt"
    text = raw.read_bytes()
    raw.write_bytes(text.replace("。".encode(), "！".encode(), 1))
    ran = re.findall(r"Finished jobid: \d+ \(Rule: (make_\w+)\)", labelled.snakemake("labels"))
    assert sorted(ran) == sorted(
        ["make_ingest", "make_unify", "make_minimise", *["make_label"] * 3, "make_merge_labels"]
    )
    raw.write_bytes(text)
    for entry in entries:
        if entry.exists():  # the change did not touch this shard
            shutil.rmtree(entry)
        shutil.move(entry.with_suffix(".away"), entry)
    assert not [rule for rule in labelled.ran("data", "labels") if rule.startswith("make_")]


# Lies beside every Python of a run: the gate of one source ends after the entry of another was stamped, and before the job that
# stamped it has ended.
MEANWHILE = """
import atexit, glob, os, sys, time

BEGUN = {begun!r}

def wait_for(place):
    while not any(os.lstat(path).st_mtime > BEGUN for path in glob.glob(place)):
        time.sleep(0.05)

if any(part.endswith("hash_raw.py") for part in sys.orig_argv) and "raw/psyqa" in " ".join(sys.orig_argv):
    wait_for("results/.entries/ingest/cpsycound/*")
if any(part.endswith("ingest.py") for part in sys.orig_argv):
    atexit.register(lambda: (wait_for("results/.gates/raw/psyqa.json"), time.sleep(3)))
"""


def test_what_waits_for_a_job_is_not_lost_when_a_gate_ends_before_it(labelled, tmp_path):
    """A job's stamp is there a while before Snakemake knows that it has ended, on a cluster up to a minute."""
    raw = labelled.root / "data/sample/CPsyCounD/case_100.txt"
    text = raw.read_bytes()
    raw.write_bytes(text.replace("。".encode(), "！".encode(), 2))
    (tmp_path / "sitecustomize.py").write_text(MEANWHILE.format(begun=time.time()))
    process = labelled.start("data", environment={"PYTHONPATH": str(tmp_path)})
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 0, said
    ran = re.findall(r"Finished jobid: \d+ \(Rule: (make_\w+|raw_gate)\)", said)
    assert ran.index("make_ingest") > 3, "it was not shown"  # all four raw gates before it
    assert ran[ran.index("make_ingest") :] == ["make_ingest", "make_unify", "make_minimise", "make_split"]
    raw.write_bytes(text)
    assert not [rule for rule in labelled.ran("data", "labels") if rule.startswith("make_")]


def test_a_withdrawn_record_goes_from_the_store_and_stays_out(labelled):
    """And only the shard that held it is labelled again."""
    data, store = labelled.root / "results/data", labelled.store
    record = json.loads((data / "unified_min.jsonl").read_text(encoding="utf-8").splitlines()[0])
    words = next(turn["text"] for turn in record["turns"] if len(turn["text"]) > 15)
    labelled_before = (labelled.root / "results/labels/dataset.jsonl").read_text().count("\n")

    def forget(*arguments):
        command = [sys.executable, "workflow/scripts/forget.py", record["id"], *arguments]
        environment = {**os.environ, "MINDGAUGE_STORE": str(store)}
        done = subprocess.run(
            [*command, "--configfile", "config/demo.yaml", "overlay.yaml"],
            cwd=labelled.root, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0 and words not in done.stdout + done.stderr, done.stderr
        return done.stdout

    def holding():
        return [
            path
            for path in store.rglob("*")
            if path.is_file() and (words.encode() in (content := path.read_bytes()) or record["id"].encode() in content)
        ]

    assert "nothing was removed" in forget() and holding()
    said = forget("--apply")
    assert f"source {record['source']}, record" in said and not holding()
    ran = labelled.snakemake("data", "labels")
    assert {"make_ingest", "make_unify", "make_label"} <= set(re.findall(r"\(Rule: (\w+)\)", ran))
    assert len(re.findall(r"Finished jobid: \d+ \(Rule: make_label\)", ran)) == 1
    assert not holding() and record["id"] not in (data / "unified.jsonl").read_text()
    read = json.loads((data / f"ingest/{record['source']}/stats.json").read_text())
    assert read["by_reason"]["withdrawn"] == 1
    assert (labelled.root / "results/labels/dataset.jsonl").read_text().count("\n") == labelled_before - 1
    assert labelled.would_run("data", "labels") == {} and "0 wrong" in labelled.snakemake("verify")
