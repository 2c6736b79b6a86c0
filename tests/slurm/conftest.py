"""One cluster for all tests on SLURM, and one clone, in which the demo's chain is made first."""

import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Container, Iterator
from pathlib import Path

import pytest
from clone import Clone
from conftest import ROOT

from .cluster import ACCOUNT, Cluster, missing
from .driver import Driver

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
def another(cluster: Cluster, tiny: Path) -> Callable[[Path, Path], Clone]:
    """Makes clones from which jobs are submitted, each in a directory and with a store."""

    def make(directory: Path, store: Path) -> Clone:
        made = Clone.new(directory, store, tiny)
        with (made.root / "overlay.yaml").open("a") as overlay:
            overlay.write(FEWER)
        gold = (ROOT / "data/sample/gold.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (made.root / "gold.jsonl").write_text("".join(gold[:8]), encoding="utf-8")
        (made.root / "minutes.yaml").write_text("extra_models: {tiny-llama: {minutes: 90}}\n")
        made.environment = {
            "PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}",
            "SLURM_CONF": cluster.environment["SLURM_CONF"],
            "MINDGAUGE_CPU_PARTITION": "cpu",
            "MINDGAUGE_LATENCY": "5",
            "MINDGAUGE_ACCOUNT": ACCOUNT,
        }
        return made

    return make


@pytest.fixture(scope="session")
def clone(another: Callable[[Path, Path], Clone], tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The clone in which the demo's chain is made."""
    root = tmp_path_factory.mktemp("slurm")
    return another(root / "clone", root / "store")


# What runs where Snakemake runs: links, gates, and what needs the network.
LOCAL = re.compile(r"rule_(view_\w+|\w+_gate|make_base)_")
# One model to the end, and the training of another beside it.
TARGETS = ("all", "results/models/tiny-llama/adapter/run.json")
ASKED = ("JobID", "JobName", "Comment", "Account", "Partition", "AllocTRES", "Timelimit", "State", "Start", "End")
# Numbers of jobs by their rules.
Rules = Counter[str]


def told(cluster: Cluster, but: Container[str] = ()) -> list[dict[str, str]]:
    """All jobs the cluster was given by Snakemake, except some by their numbers: fields of sacct, the TRES, `rule` and `wildcards`."""
    found = [job for job in cluster.accounted(*ASKED) if job["Comment"].startswith("rule_") and job["JobID"] not in but]
    for job in found:
        job["rule"], _, job["wildcards"] = job["Comment"].removeprefix("rule_").partition("_wildcards_")
        job |= dict(part.split("=") for part in job["AllocTRES"].split(",") if part)
    return found


@pytest.fixture(scope="session")
def jobs(cluster: Cluster, clone: Clone) -> dict[str, list[dict[str, str]]]:
    """The jobs of a whole run, by rule."""
    driver = Driver(clone, *TARGETS, overlays=("minutes.yaml",))
    assert driver.wait(1800) == 0, driver.said[-4000:]
    found: dict[str, list[dict[str, str]]] = {}
    for job in told(cluster):
        assert job["State"] == "COMPLETED" and job["JobName"].startswith("mindgauge_") and job["Account"] == ACCOUNT, (
            job
        )
        assert not LOCAL.match(job["Comment"]), job
        found.setdefault(job["rule"], []).append(job)
    return found


class Submitting:
    """Runs of Snakemake on the cluster; `jobs` are those that the last one submitted, `said` is what it printed."""

    def __init__(self, cluster: Cluster, clone: Clone) -> None:
        self.cluster, self.clone = cluster, clone
        self.jobs: list[dict[str, str]] = []
        self.said = ""

    def __call__(
        self,
        *targets: str,
        overlays: tuple[str, ...] = ("minutes.yaml",),
        clone: Clone | None = None,
        fails: bool = False,
        options: tuple[str, ...] = (),
        meanwhile: Callable[[Driver], None] = lambda driver: None,
        **environment: str,
    ) -> Rules:
        """The jobs of a run to its end; `meanwhile` is done while it works. Raises AssertionError if it fails and should not, or the
        other way round."""
        before = {job["JobID"] for job in self.cluster.accounted("JobID")}
        driver = Driver(clone or self.clone, *(targets or TARGETS), overlays=overlays, options=options, **environment)
        try:
            meanwhile(driver)
            status = driver.wait()
        finally:
            if driver.process.poll() is None:
                driver.kill()
        self.said = driver.said
        assert (status != 0) == fails, self.said[-4000:]
        self.jobs = told(self.cluster, before)
        return Counter(job["rule"] for job in self.jobs)


@pytest.fixture
def submitted(cluster: Cluster, clone: Clone, jobs: object) -> Submitting:
    """Runs Snakemake on the cluster, where the chain has been made."""
    return Submitting(cluster, clone)
