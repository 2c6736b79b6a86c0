"""One cluster for all tests on SLURM, and one clone, in which the demo's chain is made first."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from clone import Clone
from conftest import ROOT

from mindgauge import tiny_models
from mindgauge.answers import all_answers
from mindgauge.labels import Scheme

from .cluster import ACCOUNT, Cluster, missing

MODELS = ("tiny-qwen2", "tiny-llama")
# As few jobs and rows as the chain can have.
FEWER = """
models: [tiny-qwen2]
sources: {gold: {path: gold.jsonl}}
sft: {val: 0.02, test: 0.03, min_per_class: 1}
label: {shards: 1}
quantise: {imatrix: false}
bench: {repetitions: 1, threads: [1]}
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; without the packages for it a test skips."""
    if packages := missing():
        pytest.skip(f"not installed: {', '.join(packages)} (apt-get install {' '.join(packages)})")
    root = Path(tempfile.mkdtemp(prefix="mg-slurm-", dir="/tmp"))
    made = Cluster(root)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def clone(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, scheme: Scheme) -> Clone:
    """A clone from which jobs are submitted."""
    root = tmp_path_factory.mktemp("slurm")
    for name in MODELS:
        tiny_models.make(name, ROOT / "data/sample", all_answers(scheme)[::37], root / "tiny" / name, steps=2)
    made = Clone(root / "clone", root / "store", root / "tiny")
    with (made.root / "overlay.yaml").open("a") as overlay:
        overlay.write(FEWER)
    gold = (ROOT / "data/sample/gold.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (made.root / "gold.jsonl").write_text("".join(gold[:8]), encoding="utf-8")
    made.environment = {
        "PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}",
        "SLURM_CONF": cluster.environment["SLURM_CONF"],
        "MINDGAUGE_CPU_PARTITION": "cpu",
        "MINDGAUGE_LATENCY": "5",
        "MINDGAUGE_ACCOUNT": ACCOUNT,
    }
    return made
