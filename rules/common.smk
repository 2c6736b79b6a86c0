# What the rules share: the validated settings, the plan, and input functions. No rule here.
import os
import sys

# The library of this clone, not one installed elsewhere: its code is part of every key.
sys.path.insert(
    0, os.path.abspath(os.path.join(workflow.current_basedir, "../workflow/scripts"))
)

from snakemake.exceptions import IncompleteCheckpointException
from snakemake.io import checkpoint_target

from mindgauge import epoch, process, withdrawing
from mindgauge.config import Settings
from mindgauge.plan import TARGETS, Plan, gate_file
from mindgauge.files import read_json
from mindgauge.step import exit_on_user_error

EPOCH = str(epoch.EPOCH)
STEPS = {
    # step: the wildcards that name its entries
    "ingest": ["source"],
    "unify": [],
    "minimise": [],
    "split": [],
    "label": ["voter", "shard"],
    "merge_labels": [],
    "make_sft": [],
    "export": [],
    "base": ["model"],
    "train": ["model"],
    "merge": ["model"],
    "convert": ["model", "full"],
    "imatrix": ["model"],
    "quantise": ["model", "quant"],
    "choose": ["model"],
    "evaluate": ["model", "variant"],
    "baselines": [],
    "fidelity": ["model"],
    "bench": ["model"],
    "judge": ["model"],
    "bundle": ["model", "quant"],
    "report": [],
    "catalogue": [],
    "crate": [],
}

process.prepare(group=bool(config.get("store_group")))


wildcard_constraints:
    key="[0-9a-f]{20}",
    source="[A-Za-z0-9][A-Za-z0-9.-]*",
    model="[a-z0-9][a-z0-9.-]*",
    voter="[0-9]+-[a-z-]+",
    shard="[0-9]+",
    quant="[A-Z0-9_]+",
    full="f16|bf16",
    variant="base|adapter|merged|f16|bf16|[A-Z0-9_]+",


def ask_gate(name, fact=None):
    """What a gate says; raises until its checkpoint has run, and while it does not say `fact` (an older program wrote it)."""
    kind, _, of = name.partition("/")
    wildcards = {"raw": {"raw": of}, "base": {"model": of}}.get(kind, {})
    asked = getattr(checkpoints, f"{kind}_gate")
    path = Path(asked.get(**wildcards).output[0])
    # In the midst of a run Snakemake takes a checkpoint for done whose file was lost.
    found = read_json(path) if path.is_file() else None
    if found is None or (fact and fact not in found["facts"]):
        raise IncompleteCheckpointException(asked.rule, checkpoint_target(str(path)))
    return found


def planned(method, step):
    """An input function: what the plan's method says of the entry of `step` that the wildcards name."""

    def ask(wildcards):
        with exit_on_user_error():
            found = method(step, *(wildcards[name] for name in STEPS[step]))
        return ancient(found)

    return ask


def stamp_of(step):
    """The stamp of an entry."""
    return planned(plan.entry, step)


def needs_of(step):
    """The stamps and gates an entry is made from."""
    return planned(plan.needs, step)


def gates_of(step):
    """The gates that were asked for the key of an entry."""
    return planned(plan.gates, step)


def base_gate(wildcards):
    """The gate of the base that a model is made from."""
    return ancient(gate_file(f"base/{plan.settings.stanza(wildcards.model)}"))


def raw_token(wildcards):
    """The file that stands for the content of a raw source."""
    with exit_on_user_error():
        return ancient(plan.raw_token(wildcards.raw))


with exit_on_user_error():
    plan = Plan(Settings(config), ask_gate, main=workflow.is_main_process)
    if plan.main:
        plan.store.open()
        made = [
            *map(Path, plan.targets(*STEPS)),
            *Path("results/.gates").rglob("*.json"),
        ]
        epoch.keep(
            made,
            map(Path, plan.wanted_gates()),
            changed=not process.dry_run(sys.argv) and plan.raw_changed(),
        )
