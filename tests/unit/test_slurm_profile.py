"""profiles/slurm: what a site sets there, and that a GPU is asked for by none but the steps that compute on it."""

import copy
import re
from collections import defaultdict

import pytest
import yaml
import yte
from conftest import ROOT

from mindgauge.config import Settings
from mindgauge.plan import Plan

PROFILE = ROOT / "profiles/slurm/config.yaml"
BASE = yaml.safe_load((ROOT / "config/config.yaml").read_text())
ON_GPU = {"make_train", "make_label_by_model"}
# What goes on in the next job where the last one's time was up.
RESUMES = ON_GPU | {"make_label"}
OPTIONAL = {"slurm_account": "ACCOUNT", "qos": "QOS", "constraint": "CONSTRAINT"}


def rules():
    """Every rule with a shell, as text."""
    for file in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        for part in re.split(r"(?m)^(?=(?:rule|checkpoint) \w+:)", file.read_text(encoding="utf-8"))[1:]:
            if "    shell:\n" in part:
                yield re.match(r"\w+ (\w+):", part)[1], part


@pytest.fixture
def profile(monkeypatch):
    """Reads the profile as Snakemake does, with some settings in the environment."""

    def read(**environment):
        for name in re.findall(r"MINDGAUGE_\w+", PROFILE.read_text(encoding="utf-8")):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(f"MINDGAUGE_{name}", value)
        with PROFILE.open(encoding="utf-8") as file:
            return yte.process_yaml(file)

    return read


def worked_out(of, threads=8):
    """Of a GPU step's resources those that may go by the number of threads, as Snakemake works them out."""
    found = {}
    for name in ("gres", "cpus_per_task"):
        try:
            found[name] = eval(str(of[name]), {"threads": threads})
        except (NameError, SyntaxError):
            found[name] = of[name]
    return found


def test_only_steps_that_compute_on_a_gpu_ask_for_one(profile):
    found = profile()
    asking = {name for name, of in found["set-resources"].items() if "gres" in of}
    assert asking == ON_GPU and dict(rules()).keys() > ON_GPU
    assert not {"gres", "gpu", "gpus"} & found["default-resources"].keys()
    for name, text in rules():
        assert not re.search(r"\b(gres|gpus?)\b *=", text), name


def test_what_a_gpu_step_asks_for(profile):
    for name in ON_GPU:
        of = profile()["set-resources"][name]
        assert of["slurm_partition"] == "A40" and worked_out(of) == {"gres": "gpu:1", "cpus_per_task": 8}
        assert [eval(of["mem_mb"], {"attempt": n, "threads": 8}) for n in (1, 2, 3)] == [32768, 65536, 65536]


def test_a_training_on_several_gpus_asks_for_so_many_of_everything(profile):
    train = profile(GRES="gpu:a40:1")["set-resources"]["make_train"]
    assert worked_out(train, threads=32) == {"gres": "gpu:a40:4", "cpus_per_task": 32}
    assert eval(train["mem_mb"], {"attempt": 1, "threads": 32}) == 4 * 32768


def test_a_site_sets_everything_by_the_environment(profile):
    plain = profile()
    for part in (plain["default-resources"], *plain["set-resources"].values()):
        assert not OPTIONAL.keys() & part.keys()
    assert "runtime" not in plain["set-resources"]["make_train"]
    given = {"ACCOUNT": "lab", "QOS": "long", "CONSTRAINT": "intel", "GPU_QOS": "gpu", "GPU_CONSTRAINT": "a40"}
    given |= {"PARTITION": "gpus", "CPU_PARTITION": "cpus", "GRES": "gpu:a40:1", "GPU_CPUS": "4", "GPU_MEM_MB": "1000"}
    found = profile(**given, TRAIN_MINUTES="5", LABEL_MINUTES="6", JOBS="7", RETRIES="3", LATENCY="9", JOB_NAME="mine")
    assert found["default-resources"] == {
        **plain["default-resources"],
        **{"slurm_partition": "cpus", "slurm_account": "lab", "qos": "long", "constraint": "intel"},
    }
    for name, minutes in (("make_train", 5), ("make_label_by_model", 6)):
        of = found["set-resources"][name]
        assert eval(of.pop("mem_mb"), {"attempt": 3, "threads": 8}) == 2000
        assert of | worked_out(of) == {
            "slurm_partition": "gpus",
            "gres": "gpu:a40:1",
            "cpus_per_task": 4,
            "runtime": minutes,
            "qos": "gpu",
            "constraint": "a40",
        }
    assert (found["jobs"], found["retries"], found["latency-wait"], found["slurm-jobname-prefix"]) == (7, 3, 9, "mine")


# What loads a model on the CPU, and takes the memory that its size asks for.
HOLDS_A_MODEL = {
    f"make_{step}" for step in ["merge", "convert", "imatrix", "quantise", "choose", "evaluate", "fidelity", "bench"]
}


def test_every_job_says_how_much_memory_and_time_and_asks_for_more_next_time():
    for name, text in rules():
        if "localrule: True" in text:
            continue
        memory = r"of_size\(\d+, \d+\)" if name in HOLDS_A_MODEL else r"grows\(\d+\)"
        assert re.search(rf"mem_mb={memory},", text), name
        steady = r"runtime=(\d+|training_minutes)," if name in RESUMES else r"runtime=grows\(\d+\),"
        assert re.search(steady, text) and re.search(r"\n    threads: ", text), name


@pytest.mark.usefixtures("in_root")
def test_no_key_depends_on_the_wall_time_of_a_model():
    def gate(*_):
        files = defaultdict(lambda: {"sha256": "f"})
        return {"files": files, "facts": {"buckets": {}}, "where": "a/b", "sha256": "f"}

    def keys(**minutes):
        tiny = {"path": "somewhere", "licence": "MIT", "family": "qwen3", **minutes}
        settings = Settings(copy.deepcopy(BASE) | {"models": ["tiny"], "extra_models": {"tiny": tiny}})
        plan = Plan(settings, gate, main=False)
        entries = {(step, *names) for _, step, names, _ in plan.views() if names[:1] == ("tiny",)}
        assert {"train", "merge", "bundle"} <= {entry[0] for entry in entries}
        return {entry: plan.recipe(*entry).key for entry in entries}

    assert keys() == keys(minutes=5)
