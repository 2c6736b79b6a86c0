"""Looks at a site before the first run: the cluster, the file systems, the software, the base models. Each finding has its remedy."""

import getpass
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge import cluster
from mindgauge.config import Settings
from mindgauge.errors import UserError
from mindgauge.filesystems import check_latency, check_private, check_renames, check_room, check_store
from mindgauge.findings import Finding, failure, ok, refused, warning
from mindgauge.forecast import forecast
from mindgauge.lock import packages, torch_build
from mindgauge.plan import Plan

RESULTS = Path("results")


def check_python() -> Iterator[Finding]:
    """Is the interpreter one that the lock is for, and is every group's lock readable?"""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        yield failure(
            "Python", f"{version}", "Python 3.11 or 3.12: PYTHON=/path/to/python3.11 make setup, in a new .venv"
        )
        return
    try:
        packages("train")
    except UserError as error:
        yield refused("Python", error)
        return
    yield ok("Python", f"{version}, torch build {torch_build()}")


def check_torch(build: str, *, gpu_asked: bool) -> Iterator[Finding]:
    """Does the installed torch fit the driver, where there is one to see? `build` is as lock.torch_build tells it."""
    said = cluster.ask("nvidia-smi")
    remedy = "a build for the driver: MINDGAUGE_TORCH_INDEX=<an index of such builds> make setup (docs/cluster.md)"
    if said is None:
        if gpu_asked and build == "cpu":
            yield warning("torch", "a CPU build, and jobs ask for a GPU; no GPU is seen here to compare with", remedy)
        else:
            yield ok("torch", f"build {build}; no GPU is seen here, which is usual on a login node")
        return
    match = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", said)
    if not build.startswith("cuda"):
        yield failure("torch", f"build {build}, and there is a GPU", remedy)
    elif match is None:
        yield warning("torch", f"build {build}; nvidia-smi does not tell what its driver takes", "look at nvidia-smi")
    else:
        takes = (int(match[1]), int(match[2]))
        major, _, minor = build.removeprefix("cuda").partition(".")
        wanted = (int(major), int(minor or 0))
        about = f"build {build}, the driver takes CUDA up to {takes[0]}.{takes[1]}"
        if wanted[0] > takes[0]:
            yield failure("torch", about, remedy)
        elif wanted > takes:
            yield warning("torch", f"{about}: works within one major version, with a few functions missing", remedy)
        else:
            yield ok("torch", about)


def check_bases(plan: Plan) -> Iterator[Finding]:
    """Is the base of every configured model there, or pinned, so that no job needs a network?"""
    for model in plan.bases():
        about, stanza = f"base of {model}", plan.settings.model(model)
        if stanza.path is not None:
            if Path(stanza.path, "config.json").is_file():
                yield ok(about, f"{stanza.path}")
            else:
                yield failure(
                    about,
                    f"{stanza.path} holds no config.json",
                    f"a directory with the model's files (models.{model}.path)",
                )
            continue
        recipe = plan.recipe("base", model)
        if plan.store.has(recipe.where):
            yield ok(about, "fetched")
        else:
            pinned = "pinned, not fetched" if recipe.params["lock"] else "not fetched yet"
            yield warning(
                about,
                f"{stanza.hub}: {pinned}",
                f"on a host with a network: snakemake --profile profiles/slurm results/base/{model}/config.json"
                " (HF_TOKEN for gated models, HF_ENDPOINT for a mirror)",
            )


def check_templates(plan: Plan) -> Iterator[Finding]:
    """Is there a chat template for every configured model's family?"""
    families = {plan.settings.model(model).family for model in plan.bases()}
    missing = [family for family in sorted(families) if not Path(f"config/templates/{family}.jinja").is_file()]
    if missing:
        yield failure("chat templates", f"none for {', '.join(missing)}", "git checkout config/templates")
    else:
        yield ok("chat templates", ", ".join(sorted(families)))


def check_gpu_memory(settings: Settings) -> Finding:
    """Does the config say how much memory the GPU has, so that a training that it cannot hold is refused before it is queued?"""
    memory = settings.config.site.gpu_memory_gib
    if memory is not None:
        return ok(
            "GPU memory", f"{memory:g} GiB by the config: a training that does not fit is told before it is queued"
        )
    return warning(
        "GPU memory",
        "the config does not say how much the GPU has: a training that does not fit is queued all the same",
        "site: {gpu_memory_gib: <what nvidia-smi tells on a node, in GiB>} in the config",
    )


def check_plan(settings: Settings, place: Path) -> Iterator[Finding]:
    """Are the raw files there, and is there room for what a run would write?"""
    try:
        found = forecast(settings, ["all"])
    except UserError as error:
        yield refused("raw files", error)
        return
    behind = [entry for entries in found.unknown.values() for entry in entries]
    yield ok("raw files", f"there; {len(found.needed)} entries to make, {len(behind)} more behind gates")
    yield from check_room(place, [entry.bytes for entry in (*found.needed, *behind)])


def check_cluster(profile: dict[str, Any], *, job: bool) -> Iterator[Finding]:
    """The cluster against a profile for it. With `job` one is run on a node."""
    found = list(cluster.tools())
    yield from found
    if any(one.state == "failure" for one in found):
        return
    asked = cluster.requests(profile)
    yield from cluster.check_partitions(asked)
    yield from cluster.check_accounts(asked, getpass.getuser())
    yield from cluster.check_min_job_age(profile)
    if job:
        yield from cluster.try_on_node(next((one for one in asked if one.gres), asked[0]), Path(sys.executable))


def examine(settings: Settings, profile: dict[str, Any], *, job: bool = False) -> list[Finding]:
    """Everything, in the order in which a person would put it right."""
    plan = Plan(settings, lambda *_: {}, main=False)
    slurm = profile.get("executor") == "slurm"
    gpu = slurm and any(one.gres for one in cluster.requests(profile))
    return [
        *check_python(),
        *check_torch(torch_build(), gpu_asked=gpu),
        *(check_cluster(profile, job=job) if slurm else ()),
        *([check_gpu_memory(settings)] if gpu else ()),
        *check_store(plan.store),
        *check_renames(plan.store),
        *check_private(RESULTS, group=plan.store.group),
        *check_latency("store: small files", plan.store.root),
        *check_latency("results: small files", RESULTS),
        *check_templates(plan),
        *check_bases(plan),
        *check_plan(settings, plan.store.root),
    ]
