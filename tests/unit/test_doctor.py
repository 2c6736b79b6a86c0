"""The check of a site: each finding, with made-up answers of the cluster's programs and real directories."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from mindgauge import cluster, doctor, filesystems
from mindgauge.cluster import Request
from mindgauge.config import Settings, overlaid
from mindgauge.errors import UserError
from mindgauge.files import write_text
from mindgauge.findings import table
from mindgauge.store import Store

SINFO = """\
A40*|up|1-00:00:00|16|64000|gpu:a40:2(S:0-1)
A40*|up|1-00:00:00|32|128000+|gpu:a40:4(S:0-1)
cpu|up|infinite|64|256000|(null)
old|down|2:00:00|8|16000|(null)
"""


def states(found):
    return [(one.state, one.about) for one in found]


def only(found):
    (one,) = found
    assert bool(one.instead) == (one.state != "ok")
    return one


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A directory that is all of PATH, and a function that puts a program there which prints something."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))

    def program(name, prints="", status=0):
        write_text(place / f"{name}.txt", prints)
        write_text(place / name, f"#!/bin/sh\n/bin/cat {place / name}.txt\nexit {status}\n")
        (place / name).chmod(0o755)

    return program


def test_the_profile_is_read_with_its_environment(in_root, monkeypatch):
    monkeypatch.setenv("MINDGAUGE_PARTITION", "A100")
    monkeypatch.setenv("MINDGAUGE_GRES", "gpu:a100:1")
    asked = cluster.requests(cluster.read_profile(Path("profiles/slurm")))
    (gpu,) = [one for one in asked if "make_train" in one.rules]
    assert (gpu.partition, gpu.gres) == ("A100", "gpu:a100:1") and gpu.cpus == 8 and gpu.memory >= 32000
    assert any("all other rules" in one.rules and one.gres is None for one in asked)


def test_a_profile_that_is_not_there_or_not_right_is_one_message(tmp_path):
    with pytest.raises(UserError, match="no such profile"):
        cluster.read_profile(tmp_path)
    write_text(tmp_path / "config.yaml", "__use_yte__: true\na: ?int('many')\n")
    with pytest.raises(UserError, match="cannot be read"):
        cluster.read_profile(tmp_path)


def test_without_slurm_its_programs_are_named(programs):
    found = only(cluster.tools())
    assert found.state == "failure" and "sbatch" in found.said and "PROFILE=local" in found.instead
    for name in cluster.NEEDED:
        programs(name)
    assert states(cluster.tools()) == [("ok", "SLURM's programs"), ("warning", "accounting")]


def test_partitions_are_what_any_of_their_nodes_has():
    found = cluster.parse_partitions(SINFO)
    assert set(found) == {"A40", "cpu", "old"}
    of = found["A40"]
    assert (of.up, of.minutes, of.cpus, of.memory) == (True, 1440, 32, 128000) and of.gres == {"gpu:a40"}
    assert found["cpu"].minutes is None and not found["old"].up and found["old"].minutes == 120


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"gres": "gpu:a40:1"}, None),
        ({"gres": "gpu:a100:1"}, "no node has gpu:a100 (there: gpu:a40)"),
        ({"partition": "cpu"}, "no node has gpu"),
        ({"partition": "A4O"}, "there is no partition 'A4O'"),
        ({"cpus": 33}, "33 CPUs are asked, no node has more than 32"),
        ({"memory": 128001}, "128001 MB are asked"),
        ({"minutes": 1441}, "its limit is 1440"),
        ({"partition": "cpu", "gres": None, "minutes": 100000}, None),
        ({"partition": "old", "gres": None, "cpus": 1, "memory": 1, "minutes": 1}, "it is down"),
        ({"partition": None}, None),
    ],
)
def test_a_request_is_held_against_its_partition(programs, change, said):
    programs("sinfo", SINFO)
    asked = {"partition": "A40", "gres": "gpu:1", "cpus": 8, "memory": 32768, "minutes": 720, **change}
    found = only(cluster.check_partitions([Request(("make_train",), **asked)]))
    assert found.state == ("ok" if said is None else "failure") and (said or "") in found.said
    if "partition" in change and change["partition"] == "A4O":
        assert "A40, cpu, old" in found.instead


def test_a_controller_that_does_not_answer_is_told(programs):
    programs("sinfo", "", status=1)
    assert "does not answer" in only(cluster.check_partitions([Request(("all",))])).said


@pytest.mark.parametrize(
    ("account", "held", "state"),
    [
        ("lab", "lab\nother\n", "ok"),
        (None, "lab\n", "ok"),
        ("lap", "lab\nother\n", "failure"),
        (None, "", "warning"),
    ],
)
def test_an_account_is_one_of_the_users(programs, account, held, state):
    programs("sacctmgr", held)
    found = only(cluster.check_accounts([Request(("all",), account=account)], "me"))
    assert found.state == state
    if state == "failure":
        assert "lap" in found.said and "lab, other" in found.instead


def test_an_account_that_cannot_be_checked_is_no_failure(programs):
    assert list(cluster.check_accounts([Request(("all",))], "me")) == []
    assert only(cluster.check_accounts([Request(("all",), account="lab")], "me")).state == "warning"


@pytest.mark.parametrize(("age", "state"), [("300 sec", "ok"), ("180 sec", "failure"), ("2 sec", "failure")])
def test_ended_jobs_must_be_remembered_between_two_questions(programs, age, state):
    programs("scontrol", f"MaxTasksPerNode         = 512\nMinJobAge               = {age}\n")
    assert only(cluster.check_min_job_age({"slurm-status-command": "squeue"})).state == state


def test_min_job_age_may_be_unknown_and_sacct_is_warned_of(programs):
    assert only(cluster.check_min_job_age({"slurm-status-command": "squeue"})).state == "warning"
    assert "never noticed" in only(cluster.check_min_job_age({})).said


@pytest.mark.parametrize(
    ("prints", "status", "state", "said"),
    [
        ("3.11.7|2.13.0+cu126|True|node1\n", 0, "ok", "GPU seen"),
        ("3.11.7|2.13.0|False|node1\n", 0, "failure", "sees no GPU"),
        ("", 1, "failure", "does not run on a node"),
    ],
)
def test_the_environment_is_tried_on_a_node(programs, prints, status, state, said):
    programs("srun", prints, status)
    found = only(cluster.try_on_node(Request(("make_train",), "A40", gres="gpu:1"), Path(sys.executable)))
    assert found.state == state and said in found.said


def test_torch_is_held_against_the_driver(programs):
    assert only(doctor.check_torch("cpu", gpu_asked=False)).state == "ok"
    assert only(doctor.check_torch("cpu", gpu_asked=True)).state == "warning"
    programs("nvidia-smi", "| NVIDIA-SMI 550.54   Driver Version: 550.54   CUDA Version: 12.4 |\n")
    for build, state in (("cpu", "failure"), ("cuda12.4", "ok"), ("cuda11.8", "ok"), ("cuda12.8", "warning"), ("cuda13.0", "failure")):  # fmt: skip
        assert only(doctor.check_torch(build, gpu_asked=True)).state == state, build


def test_latency_is_measured_and_nothing_is_left(tmp_path):
    taken = filesystems.latency(tmp_path, rounds=3)
    assert set(taken) == {"write", "fsync", "rename", "read"} and all(of > 0 for of in taken.values())
    assert list(tmp_path.iterdir()) == []


def test_a_slow_file_system_is_warned_of(tmp_path, monkeypatch):
    assert only(filesystems.check_latency("store", tmp_path / "not/there")).state == "ok"
    slow = {"write": 0.0, "fsync": 0.2, "rename": 0.0, "read": 0.0}
    monkeypatch.setattr(filesystems, "latency", lambda place: slow)
    assert "fsync 200.0 ms" in only(filesystems.check_latency("store", tmp_path)).said


def test_what_cannot_be_written_is_a_failure(tmp_path, monkeypatch):
    def refuse(place):
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(filesystems, "latency", refuse)
    assert "cannot be written (Permission denied)" in only(filesystems.check_latency("store", tmp_path)).said


def test_renames_and_links_are_tried(tmp_path, monkeypatch):
    assert only(filesystems.check_renames(Store(tmp_path))).state == "ok" and list(tmp_path.iterdir()) == []

    def no_links(*paths):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert only(filesystems.check_renames(Store(tmp_path))).state == "warning"
    monkeypatch.setattr(os, "symlink", no_links)
    assert only(filesystems.check_renames(Store(tmp_path))).state == "failure"


def test_a_store_that_others_can_enter_is_a_failure_and_none_is_made(tmp_path):
    store = Store(tmp_path / "store")
    assert "will be made" in only(filesystems.check_store(store)).said and not store.root.exists()
    store.root.mkdir(mode=0o700)
    assert only(filesystems.check_store(store)).state == "ok"
    store.root.chmod(0o755)
    found = only(filesystems.check_store(store))
    assert found.state == "failure" and "chmod 700" in found.instead
    store.root.chmod(0o770)
    assert only(filesystems.check_store(Store(store.root, group=True))).state == "ok"


def test_results_that_others_can_enter_are_warned_of(tmp_path):
    tmp_path.chmod(0o750)
    assert only(filesystems.check_private(tmp_path, group=False)).state == "warning"
    assert list(filesystems.check_private(tmp_path, group=True)) == []
    assert list(filesystems.check_private(tmp_path / "none", group=False)) == []


def test_room_is_held_against_what_is_needed(tmp_path):
    assert only(filesystems.check_room(tmp_path, [1, 2])).state == "ok"
    assert "1 of 2 jobs of unknown size" in only(filesystems.check_room(tmp_path, [1, None])).said
    assert only(filesystems.check_room(tmp_path, [10**18])).state == "failure"


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "workflow/scripts/doctor.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_a_whole_site_by_its_program(tmp_path, scheme):
    """The sample as an overlay whose bases are a few bytes: nothing fails; then each thing that is broken is named."""
    for name in ("a", "b"):
        write_text(tmp_path / name / "config.json", "{}")
    stanzas = ", ".join(
        f"{n}: {{path: {tmp_path / n}, licence: MIT, family: llama3, context: 2048}}" for n in ("a", "b")
    )
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"models: [a, b]\nbundle: {{despite_gates: []}}\nextra_models: {{{stanzas}}}\n")
    options = ("--profile", "demo", "--configfile", "config/demo.yaml", str(overlay))
    done = run(*options, MINDGAUGE_STORE=str(tmp_path / "store"))
    assert done.returncode == 0 and "failure: 0" in done.stdout, done.stdout + done.stderr
    assert "SLURM" not in done.stdout and not (tmp_path / "store").exists()

    (tmp_path / "a/config.json").unlink()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)  # whatever the umask
    done = run(*options, MINDGAUGE_STORE=str(tmp_path / "open"))
    assert done.returncode == 1 and "failure: " in done.stdout and "Traceback" not in done.stderr
    assert "holds no config.json" in done.stdout and "can be entered by others" in done.stdout


def test_the_slurm_profile_without_slurm_says_so(in_root, programs):
    settings = Settings(overlaid([Path("config/demo.yaml")]))
    found = doctor.examine(settings, cluster.read_profile(Path("profiles/slurm")))
    said = table(found)
    assert "failure  SLURM's programs" in said and "store: permissions" in said
    assert all(one.instead for one in found if one.state != "ok")


@pytest.mark.parametrize(("site", "state"), [({}, "warning"), ({"gpu_memory_gib": 45}, "ok")])
def test_a_gpu_whose_memory_is_not_told_is_warned_of_on_a_cluster(in_root, programs, site, state):
    settings = Settings({**overlaid([Path("config/demo.yaml")]), "site": site})
    found = doctor.examine(settings, cluster.read_profile(Path("profiles/slurm")))
    (told,) = [one for one in found if one.about == "GPU memory"]
    assert told.state == state and (state == "ok" or "site: {gpu_memory_gib" in told.instead)
    local = doctor.examine(settings, cluster.read_profile(Path("profiles/local")))
    assert not any(one.about == "GPU memory" for one in local)
