"""The demo's chain by profiles/slurm: what each step asks SLURM for, as the accounting tells afterwards."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from mindgauge.efficiency import seconds

from .conftest import MODELS

pytestmark = pytest.mark.slow


def test_training_holds_a_gpu_of_the_partition_and_what_the_profile_says(jobs):
    assert len(jobs["make_train"]) == len(MODELS)
    for job in jobs["make_train"]:
        assert job["Partition"] == "A40" and job["gres/gpu"] == "1" and job["cpu"] == "8" and job["mem"] == "32G", job


def test_the_wall_time_of_a_training_is_that_of_its_stanza(jobs):
    limits = {job["wildcards"].rpartition("_")[0]: seconds(job["Timelimit"]) for job in jobs["make_train"]}
    assert limits == {"tiny-qwen2": 720 * 60, "tiny-llama": 90 * 60}


def test_two_models_train_at_once(jobs):
    first, second = jobs["make_train"]
    assert max(first["Start"], second["Start"]) < min(first["End"], second["End"])


def test_all_other_steps_run_without_a_gpu_on_the_cpu_partition(jobs):
    others = {rule: of for rule, of in jobs.items() if rule != "make_train"}
    assert {
        "make_ingest",
        "make_label",
        "make_sft",
        "make_merge",
        "make_convert",
        "make_quantise",
        "make_evaluate",
    } < set(others) and {"make_bench", "make_judge", "make_bundle", "make_report"} < set(others)
    for of in others.values():
        for job in of:
            assert job["Partition"] == "cpu" and "gres/gpu" not in job, job


def test_the_memory_of_a_job_that_loads_a_model_follows_its_size(clone, jobs):
    for job in jobs["make_merge"]:
        name = job["wildcards"].rpartition("_")[0]
        gate = json.loads((clone.root / f"results/.gates/base/{name}.json").read_text())
        assert job["mem"] == f"{8000 + int(gate['facts']['architecture']['parameters'] * 7 / 1e6)}M", job


def test_a_second_run_submits_nothing(submitted):
    assert not submitted()


def test_what_the_jobs_used_of_what_they_asked_for(clone, jobs):
    done = subprocess.run(
        [sys.executable, "workflow/scripts/efficiency.py"],
        cwd=clone.root,
        env={**os.environ, **clone.environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [re.split(r"  +", line) for line in done.stdout.splitlines()[2:-1]]
    numbers = {job["JobID"] for of in jobs.values() for job in of}
    assert {line[0] for line in lines} == numbers and f"\n{len(numbers)} jobs: " in done.stdout
    trainings = [line for line in lines if line[1].startswith("train ")]
    assert {line[1] for line in trainings} == {f"train {model}" for model in MODELS}
    for _, _, state, time, cores, memory, hours, trained in trainings:
        assert state == "COMPLETED" and " of 8 (" in cores and " of 32.0 (" in memory and float(hours) > 0
        assert re.search(r" of (12 h 00|1 h 30) min ", time) and 0 < int(trained.rstrip("%")) < 100
        # The step's processes were seen: torch alone takes some hundred megabytes.
        assert float(memory.split()[0]) > 0.3
    assert all(line[6] == "–" for line in lines if line not in trainings)


def test_dates_comments_and_lost_metadata_submit_nothing(clone, submitted):
    for top in ("workflow", "config", "rules", "data", "results"):
        for path in (clone.root / top).rglob("*"):
            if path.is_file() and ".store" not in path.parts:
                path.touch()
    programs = [*(clone.root / "workflow/scripts").rglob("*.py")]
    for program in programs:
        program.write_text(f"# A comment.\n\n{program.read_text()}")
    shutil.rmtree(clone.root / ".snakemake/metadata")
    assert not submitted()
    shutil.rmtree(clone.root / "results")
    assert not submitted() and (clone.root / "results/report/index.html").is_file()


def test_of_one_models_learning_rate_its_training_alone_is_submitted(clone, submitted):
    (clone.root / "rate.yaml").write_text("extra_models: {tiny-llama: {minutes: 90, train: {learning_rate: 0.001}}}")
    assert submitted(overlays=("rate.yaml",)) == {"make_train": 1}
    assert submitted.jobs[0]["wildcards"].startswith("tiny-llama_")
    assert not submitted()


def test_a_labelling_model_holds_a_gpu(clone, submitted):
    gguf = (clone.root / "results/models/tiny-qwen2/gguf/tiny-qwen2-Q4_K_M.gguf").resolve()
    (clone.root / "voter.yaml").write_text(f"label: {{backend: llama-cpp, model: {gguf}, context: 1024}}")
    assert submitted("labels", overlays=("voter.yaml",))["make_label_by_model"] == 1
    (job,) = [job for job in submitted.jobs if job["rule"] == "make_label_by_model"]
    assert (job["Partition"], job["gres/gpu"], job["cpu"], job["mem"]) == ("A40", "1", "8", "32G")


def test_the_doctor_finds_the_site_ready_and_says_what_is_not(clone):
    def doctor(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "workflow/scripts/doctor.py", "--configfile", "config/demo.yaml", *arguments],
            cwd=clone.root,
            env={**os.environ, **clone.environment, "MINDGAUGE_STORE": str(clone.store), **environment},
            capture_output=True,
            text=True,
        )

    ready = doctor()
    assert ready.returncode == 0, ready.stdout + ready.stderr
    wrong = doctor(MINDGAUGE_GRES="gpu:a100:1")
    assert wrong.returncode == 1 and "a100" in wrong.stdout
    nobody = doctor(MINDGAUGE_ACCOUNT="nobody")
    assert nobody.returncode == 1 and "nobody" in nobody.stdout
    # On a node of this cluster the environment is there and a GPU is not: its cards are made up.
    tried = doctor("--job")
    assert "GPU" in tried.stdout, tried.stdout
    assert "Not tried" in ready.stdout and "Not tried" not in tried.stdout
