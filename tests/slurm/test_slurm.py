"""The demo's chain on a real one-node SLURM. The deeper tests of a cluster's failures are not here yet."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from clone import Clone
from conftest import ROOT

from mindgauge import tiny_models
from mindgauge.answers import all_answers

from .cluster import Cluster, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing()), reason=f"not installed: {', '.join(missing())} (apt-get install slurm-wlm munge)"
    ),
]


@pytest.fixture(scope="module")
def cluster():
    # A short path: a socket's may have 107 bytes at most.
    root = Path(tempfile.mkdtemp(prefix="mg-slurm-"))
    made = Cluster(root)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_the_chain_runs_on_slurm_with_training_on_the_gpu(cluster, tmp_path, scheme, monkeypatch):
    for name in ("tiny-qwen2", "tiny-llama"):
        tiny_models.make(name, ROOT / "data/sample", all_answers(scheme)[::37], tmp_path / "tiny" / name, steps=2)
    clone = Clone(tmp_path / "clone", tmp_path / "store", tmp_path / "tiny")
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.environment[name])
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{cluster.environment['PATH']}")
    said = clone.snakemake(
        "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5", "--", "sft", profile="slurm"
    )
    assert "Finished jobid" in said
    ran = clone.snakemake(
        "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5", "--", "train", profile="slurm"
    )
    assert len(re.findall(r"Finished jobid: \d+ \(Rule: make_train\)", ran)) == 2
    jobs = (cluster.root / "log/jobs.txt").read_text()
    asked = cluster.run("scontrol", "show", "job", "-o")
    trained = [line for line in asked.splitlines() if "train" in line and "gres" in line.lower()]
    assert len(trained) == 2 and jobs, asked
    for line in trained:
        assert "Partition=A40" in line and "gpu:1" in line and "CPUs/Task=8" in line and "JobState=COMPLETED" in line, (
            line
        )
    assert clone.ran("train", profile="demo") == []
    assert subprocess.run(
        ["find", clone.root / "results/models", "-name", "adapter_model.safetensors"], capture_output=True
    ).stdout
