"""Leases and killed writers, with real processes."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from mindgauge import lease
from mindgauge.recipe import Recipe
from mindgauge.step import make
from mindgauge.store import Store

PROCESSES = multiprocessing.get_context("fork")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Store(tmp_path / "store")
    made.open()
    return made


@pytest.fixture
def planned(store):
    """An entry that is planned, and its stamp."""
    recipe = Recipe("split", (), "data", {"x": 1})
    recipe.write(store.root, False)
    return recipe.where, Path("results/.entries") / recipe.where


@pytest.fixture
def quick(monkeypatch):
    """Heartbeats, looks and patience of fractions of a second."""
    for name, seconds in {"BEAT": 0.05, "LOOK": 0.02, "PATIENCE": 0.6}.items():
        monkeypatch.setattr(lease, name, seconds)


def write(step):
    """Eight files, with a pause between them, after what an earlier job left in the working space."""
    with (step.work / "begun").open("a") as file:
        file.write("x")
    for number in range(8):
        (step.out / f"{number}.bin").write_bytes(bytes([number]) * 50_000)
        time.sleep(0.01)


def started(function, *arguments, said=None):
    """A process of its own that runs a function, its stderr in the file `said`."""

    def run():
        if said:
            sys.stderr = said.open("a", buffering=1)
        function(*arguments)

    process = PROCESSES.Process(target=run)
    process.start()
    return process


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.005)


def litter(store):
    """What lies in the store beside entries and their memory."""
    return [
        path for name in (".aside", ".leases", ".work") for path in (store.root / name).rglob("*") if path.is_file()
    ]


def test_a_writer_killed_at_any_moment_leaves_no_half_entry(store, planned, quick):
    where, stamp = planned
    begin = time.monotonic()
    started(make, "split", stamp, write).join()
    whole = time.monotonic() - begin
    made = store.manifest(where)["content"]
    chance, ends = random.Random(20261125), {True: 0, False: 0}
    for _ in range(20):
        shutil.rmtree(store.path(where), ignore_errors=True)
        stamp.unlink(missing_ok=True)
        process = started(make, "split", stamp, write)
        begin = time.monotonic()
        time.sleep(chance.uniform(0, whole * 1.1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        ends[store.has(where)] += 1
        if store.has(where):
            whole = min(whole, time.monotonic() - begin)  # the first may have met a busy machine
            assert store.verify(where, anew=True) == [] and store.manifest(where)["content"] == made
        else:
            assert not store.path(where).exists() and not stamp.exists()
    assert ends[False] >= 5, ends  # else nothing was tried
    started(make, "split", stamp, write).join()
    assert stamp.is_file() and store.verify(where, anew=True) == [] and store.manifest(where)["content"] == made
    assert not litter(store)


def test_of_two_jobs_for_one_entry_one_works_and_the_other_waits_and_says_so(store, planned, tmp_path):
    where, stamp = planned

    def work(step):
        with (tmp_path / "worked").open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.5)
        (step.out / "a.txt").write_text("one")

    jobs = [started(make, "split", stamp, work, said=tmp_path / f"{number}.log") for number in range(2)]
    for job in jobs:
        job.join()
        assert job.exitcode == 0
    (worked,) = (tmp_path / "worked").read_text().splitlines()
    assert store.verify(where) == [] and not litter(store)
    waited = [text for number in range(2) if "waits" in (text := (tmp_path / f"{number}.log").read_text())]
    assert len(waited) == 1 and f"process {worked} on {os.uname().nodename}" in waited[0]


def test_a_killed_jobs_lease_is_taken_over_with_its_working_space(store, planned, tmp_path, capfd):
    where, stamp = planned

    def work(step):
        (step.work / "checkpoint").write_text("step 7")
        time.sleep(60)

    process = started(make, "split", stamp, work)
    wait_for(lambda: (store.work(where) / "checkpoint").is_file())
    os.kill(process.pid, signal.SIGKILL)  # it is not joined: nobody has asked how it ended
    assert store.lease(where).is_file()

    def resume(step):
        (step.out / "a.txt").write_text((step.work / "checkpoint").read_text())

    make("split", stamp, resume)
    assert (store.path(where) / "a.txt").read_text() == "step 7" and not litter(store)
    assert f"is gone (process {process.pid} on" in capfd.readouterr().err


def test_a_number_that_another_process_has_now_is_no_holder():
    here = {"machine": lease._machine(), "pid": os.getpid(), "started": lease._started(os.getpid())}
    assert not lease.gone(here) and lease.gone({**here, "started": "1"})
    assert not lease.gone({**here, "started": "1", "machine": "another"}) and not lease.gone({})


@pytest.mark.usefixtures("quick")
def test_another_machines_lease_is_judged_by_its_beat_alone(store, tmp_path):
    """Neither a date of the file nor a clock decides: while the text changes the holder lives."""
    path = store.lease("split/x")
    path.parent.mkdir()

    def beat(times):
        for number in range(times):
            path.write_text(json.dumps({"machine": "another", "host": "far", "pid": 1, "started": "", "beat": number}))
            os.utime(path, (1, 1))
            time.sleep(0.1)

    beat(1)
    process = started(beat, 12)
    begin = time.monotonic()
    with lease.held(path, ["minimise/abc"]):
        waited = time.monotonic() - begin
        assert process.exitcode is None or waited >= 1.2
        assert lease.read(path)["pid"] == os.getpid() and lease.read(path)["reads"] == ["minimise/abc"]
        first = lease.read(path)["beat"]
        wait_for(lambda: lease.read(path).get("beat", first) != first)
    process.join()
    assert waited >= 1.2 and not path.exists()


@pytest.mark.usefixtures("quick")
def test_a_holder_whose_lease_was_taken_over_ends_at_once(store, planned, tmp_path):
    where, stamp = planned

    def work(step):
        time.sleep(60)

    process = started(make, "split", stamp, work, said=tmp_path / "log")
    wait_for(lambda: lease.read(store.lease(where)))
    other = store.lease(where).with_name("other")
    other.write_text("{}")
    other.replace(store.lease(where))
    process.join(10)
    assert process.exitcode == 1 and "took over this one's working space" in (tmp_path / "log").read_text()
    assert store.lease(where).read_text() == "{}" and not store.has(where)


def test_who_takes_a_newer_lease_for_the_stale_one_puts_it_back(tmp_path):
    path = tmp_path / "lease.json"
    path.write_text("newer")
    before = path.stat().st_ino
    lease._take_away(path, b"stale")
    assert path.read_text() == "newer" and path.stat().st_ino == before and len(list(tmp_path.iterdir())) == 1
    lease._take_away(path, b"newer")
    lease._take_away(path, b"newer")  # another was faster
    assert not list(tmp_path.iterdir())
