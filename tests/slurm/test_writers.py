"""Jobs that write to the store: killed at any moment, two for one entry, and on a disk that is full."""

import contextlib
import json
import math
import os
import random
import signal
import subprocess
import time

import pytest

from mindgauge import lease
from mindgauge.files import read_json
from mindgauge.store import Store

from .conftest import told
from .driver import Driver

pytestmark = pytest.mark.slow

KILLS, TABLES = 20, 5
# Rows that take longer to read and write than SECONDS, on the fastest of machines.
ROWS, SECONDS = 60_000, 1.2
VIEW = "results/data/ingest/{}/stats.json"
WORK = "    ingesting.ingest("


@pytest.fixture
def reading(another, tmp_path):
    """Makes clones on one store that read tables of so many rows; their names are `t0`, `t1` …"""

    def make(name, *rows):
        clone = another(tmp_path / name, tmp_path / "store")
        sources = {}
        for number, count in enumerate(rows):
            of = f"t{number}"
            sources[of] = {"path": f"{of}.jsonl", "reader": "table", "licence": "MIT", "columns": {"text": "text"}}
            texts = (f"我第{row}天没有睡好，考试之前总是这样，也不想和同学说话。" for row in range(count))
            lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
            (clone.root / f"{of}.jsonl").write_text("".join(lines), encoding="utf-8")
        (clone.root / "tables.yaml").write_text(json.dumps({"sources": sources}))
        return clone

    return make


@pytest.fixture
def jobs_of(cluster):
    """The states of the jobs that were submitted since the test began, by the table they read."""
    before = {job["JobID"] for job in cluster.accounted("JobID")}

    def ask():
        found = {}
        for job in told(cluster, before):
            assert job["rule"] == "make_ingest", job
            found.setdefault(job["wildcards"].rpartition("_")[0], []).append(job["State"].split()[0])
        return found

    return ask


def whole(store):
    """The entries of a store, by their names, each of which is as it was written, with nothing half-written beside them."""
    left = [
        path for name in (".aside", ".leases", ".work") for path in (store.root / name).rglob("*") if path.is_file()
    ]
    assert not left
    found = list(store.entries())
    for where in found:
        assert store.verify(where, anew=True) == [], where
    return {where.split("/")[1]: where for where in found}


def test_writers_killed_at_twenty_moments_leave_no_half_entry(reading, jobs_of):
    clone = reading("clone", *[ROWS] * TABLES)
    store, names = Store(clone.store), [f"t{number}" for number in range(TABLES)]
    driver = Driver(clone, *map(VIEW.format, names), overlays=("tables.yaml",), MINDGAUGE_RETRIES=str(KILLS))
    chance, moments, killed = random.Random(20261130), {}, 0
    while driver.process.poll() is None and killed < KILLS:
        now = time.monotonic()
        for path in (clone.store / ".leases").glob("ingest+*"):
            # Of a lease that was opened and not yet written nobody knows the holder; it would be waited for.
            number = lease.read(path).get("pid")
            if number and now >= moments.setdefault(number, now + chance.uniform(0, SECONDS)):
                moments[number] = math.inf
                with contextlib.suppress(ProcessLookupError):  # it has ended
                    os.kill(number, signal.SIGKILL)
                    killed += 1
        time.sleep(0.005)
    assert driver.wait(900) == 0 and killed == KILLS, driver.said[-4000:]
    states = jobs_of()
    assert sorted(states) == names and all(of[-1] == "COMPLETED" for of in states.values()), states
    # One or another may have been killed after its entry was made.
    assert sum(of.count("FAILED") for of in states.values()) == KILLS, states
    assert sorted(whole(store)) == names
    for name in names:
        assert read_json(clone.root / VIEW.format(name))["kept"] == ROWS


def test_of_two_runs_that_make_one_entry_one_works_and_the_other_waits(reading, jobs_of):
    clones = [reading(name, ROWS) for name in ("one", "other")]
    for clone in clones:
        # Long enough for both to be there.
        clone.edit("workflow/scripts/ingest.py", WORK, f"    import time\n\n    time.sleep(20)\n{WORK}")
    drivers = [Driver(clone, VIEW.format("t0"), overlays=("tables.yaml",)) for clone in clones]
    for driver in drivers:
        assert driver.wait() == 0, driver.said[-4000:]
    assert jobs_of() == {"t0": ["COMPLETED", "COMPLETED"]} and list(whole(Store(clones[0].store))) == ["t0"]
    logs = [path.read_text() for clone in clones for path in clone.root.glob("results/logs/ingest/t0/*.log")]
    assert len(logs) == 2 and sum("another job makes this entry" in text for text in logs) == 1
    first, second = (read_json(clone.root / VIEW.format("t0")) for clone in clones)
    assert first == second and first["kept"] == ROWS


def test_a_full_disk_is_told_harms_nothing_and_is_no_fault_once_there_is_room(reading, jobs_of, tmp_path):
    clone = reading("clone", ROWS, 10)
    clone.store.mkdir(mode=0o700)

    def mounted(*options):
        return subprocess.run(["mount", *options, str(clone.store)], capture_output=True).returncode == 0

    if not mounted("-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs"):
        pytest.skip("no file system can be mounted here for the nodes too (mount takes root)")
    try:
        targets = [VIEW.format("t0"), VIEW.format("t1")]
        driver = Driver(clone, *targets, overlays=("tables.yaml",), MINDGAUGE_RETRIES="0")
        assert driver.wait() == 1 and jobs_of() == {"t0": ["FAILED"], "t1": ["COMPLETED"]}
        assert "mindgauge: the disk is full; nothing half-written was kept" in driver.said, driver.said[-4000:]
        assert "instead: free some space" in driver.said and "Traceback" not in driver.said
        assert list(whole(Store(clone.store))) == ["t1"] and not (clone.root / targets[0]).exists()
        assert mounted("-o", "remount,size=200m")
        assert Driver(clone, *targets, overlays=("tables.yaml",)).wait() == 0
        assert jobs_of() == {"t0": ["FAILED", "COMPLETED"], "t1": ["COMPLETED"]}
        assert sorted(whole(Store(clone.store))) == ["t0", "t1"]
    finally:
        subprocess.run(["umount", str(clone.store)], check=True)
