# What the rules share: the validated settings, the plan, and input functions. No rule here.
import inspect
import os
import sys

# The library of this clone, not one installed elsewhere: its code is part of every key.
sys.path.insert(
    0, os.path.abspath(os.path.join(workflow.current_basedir, "../workflow/scripts"))
)

from snakemake.exceptions import IncompleteCheckpointException
from snakemake.io import checkpoint_target

from mindgauge import epoch, mending, process, starting, store_gates, withdrawing
from mindgauge.config import Settings
from mindgauge.plan import TARGETS, Plan, gate_file
from mindgauge.files import read_json
from mindgauge.memo import FileMemo
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
    "llama_factory": ["model"],
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

process.prepare(group=bool(config.get("store_group")), main=workflow.is_main_process)


wildcard_constraints:
    key="[0-9a-f]{20}",
    source="[A-Za-z0-9][A-Za-z0-9.-]*",
    model="[a-z0-9][a-z0-9.-]*",
    voter="[0-9]+-[a-z-]+",
    shard="[0-9]+",
    quant="[A-Z0-9_]+",
    full="f16|bf16",
    variant="base|adapter|merged|f16|bf16|[A-Z0-9_]+",


gate_content = FileMemo(read_json)


def ask_gate(name, fact=None):
    """What a gate says; raises until its checkpoint has run, and while it does not say `fact` (an older program wrote it)."""
    path, kind = gate_file(name), name.partition("/")[0]
    # As the checkpoint's own get(), which would work out its output from wildcards each of the thousands of times.
    made = path in checkpoints.created_output
    # In the midst of a run Snakemake takes a checkpoint for done whose file was lost.
    found = gate_content(Path(path)) if made else None
    if found is None or (fact and fact not in found["facts"]):
        asked = getattr(checkpoints, f"{kind}_gate")
        raise IncompleteCheckpointException(asked.rule, checkpoint_target(path))
    return found


def planned(method, step):
    """An input function: what the plan's method says of the entry of `step` that the wildcards name. Dates decide nothing, but
    who waits for an entry to be made waits for it whatever date its stamp has."""

    def ask(wildcards):
        with exit_on_user_error():
            found = method(step, *(wildcards[name] for name in STEPS[step]))
        files = [found] if isinstance(found, str) else found
        return [file if plan.awaits(file) else ancient(file) for file in files]

    # Snakemake looks at it before every call.
    ask.__signature__ = inspect.signature(ask)
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


def targets_of(*steps):
    """The views of some steps, for a rule that also lists all gates. Where every gate was made before, they are asked first, so
    that each job enters the DAG once, with all gates known, and not a second time for each gate that it asked. Where one is
    missing the views stand there from the start, and what does not wait for it runs meanwhile.
    """
    gates = plan.wanted_gates()

    def ask(wildcards):
        for path in gates:
            ask_gate(path.removeprefix("results/.gates/").removesuffix(".json"))
        return plan.targets(*steps)

    return ask if all(map(os.path.exists, gates)) else plan.targets(*steps)


def base_gate(wildcards):
    """The gate of the base that a model is made from."""
    return ancient(gate_file(f"base/{plan.settings.stanza(wildcards.model)}"))


def grows(amount):
    """A resource (MB, minutes) that grows each time its job is submitted again."""
    return lambda wildcards, attempt: amount * attempt


def of_size(amount, bytes_a_parameter):
    """The memory (MB) of a job that holds a model: `amount`, and so many bytes for each parameter of its base, by
    tests/benchmarks/memory.py; it grows each time the job is submitted again."""

    def ask(wildcards, attempt):
        try:
            parameters = plan.parameters(wildcards.model)
        except IncompleteCheckpointException:
            parameters = 0  # before the base is there; the job comes after it
        return (amount + int(parameters * bytes_a_parameter / 1e6)) * attempt

    return ask


def training_minutes(wildcards):
    """The wall time of a training job; it does not grow, since the next job goes on from the checkpoint."""
    with exit_on_user_error():
        return plan.settings.model(wildcards.model).minutes


def training_threads(wildcards):
    """The cores of a training job on each of its nodes: eight a GPU, by which profiles/slurm knows how many GPUs to ask for."""
    with exit_on_user_error():
        return 8 * plan.settings.train(wildcards.model)["gpus"]


def training_nodes(wildcards):
    """The nodes of a training job."""
    with exit_on_user_error():
        return plan.settings.train(wildcards.model)["nodes"]


def raw_token(wildcards):
    """The file that stands for the content of a raw source."""
    with exit_on_user_error():
        return ancient(plan.raw_token(wildcards.raw))


with exit_on_user_error():
    plan = Plan(Settings(config), ask_gate, main=workflow.is_main_process)
    if plan.main:
        plan.store.open()
        made = [*plan.targets(*STEPS), "results/manifest.json", *plan.further()]
        shown = [Path(view) for view in made]
        mending.gates(plan.store)
        mending.views(shown)
        epoch.keep(
            [*shown, *Path("results/.gates").rglob("*.json")],
            map(Path, plan.wanted_gates()),
            changed=not process.dry_run(sys.argv) and plan.raw_changed(),
        )
