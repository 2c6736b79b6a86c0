"""What planning costs: a dry run of `all` with many models in four quants, beside a bare Snakemake workflow of the same jobs, files
and edges, whose input functions are look-ups in a table; each a process of its own, in turn.

    PYTHONPATH=workflow/scripts nice -n 10 python tests/benchmarks/dag.py --models 5 50 200 --rounds 3
    PYTHONPATH=workflow/scripts nice -n 10 python tests/benchmarks/dag.py --models 5 50 --run

Data and base models are pretended to be made (entries of a few bytes, and the gates that tell of them), so that the whole DAG is
planned; nothing is trained. With --run every job is run as well, as a `touch`: what it takes is the driver's own work.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clone import Clone

from mindgauge import machine, raw
from mindgauge.config import Settings, overlaid
from mindgauge.files import read_json, write_json, write_text
from mindgauge.forecast import Forecaster, forecast
from mindgauge.plan import Plan, gate_file

QUANTS = ["Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"]
OVERLAYS = ("config/demo.yaml", "overlay.yaml", "models.yaml")
# What is pretended to be made: all that gates tell of.
GIVEN = ("ingest", "unify", "minimise", "split", "label", "merge_labels", "make_sft", "base")
BARE = """\
import json

with open("table.json") as file:
    TABLE = json.load(file)


def inputs_of(rule):
    def look(wildcards):
        job = TABLE[rule][" ".join(wildcards)]
        for gate, of in job["asks"]:
            getattr(checkpoints, gate).get(**of)
        return job["input"]

    return look


rule all:
    default_target: True
    input:
        TABLE["targets"],
    message:
        "All is made"
"""
BARE_RULE = """

{kind} {name}:
    input:
        inputs_of("{name}"),
    output:
        {output},
    log:
        "{log}",
    localrule: {local}
    threads: {threads}
    resources:
        mem_mb={mem_mb},
        runtime={runtime},
    message:
        {message!r}
    shell:
        "{shell}"
"""
# What a job does with --run: the stamp, and the manifest that says that its entry is in the store.
MAKE = (
    "of={output}; entry=$MINDGAUGE_STORE/${{of#results/.entries/}};"
    " mkdir -p $entry && touch $entry/manifest.json {output} > {log} 2>&1"
)
SHOW = "touch {output} > {log} 2>&1"


def overlay(count: int) -> dict[str, Any]:
    """A configuration with `count` models, each with a base of its own."""
    stanzas = {
        f"m{number}": {"path": f"build/tiny/m{number}", "licence": "MIT", "family": "llama3", "context": 2048}
        for number in range(count)
    }
    return {"models": list(stanzas), "extra_models": stanzas, "quants": QUANTS, "bundle": {"despite_gates": []}}


def pretend(settings: Settings) -> None:
    """Makes, without running a step, the entries that gates tell of, and the gates. To be called in the clone's root."""
    import pretended

    while True:
        found = forecast(settings, ["all"])
        needed = [one for one in found.needed if one.step in GIVEN]
        if not (found.hashed or needed):
            return
        planner = Plan(settings, lambda *_: {}, main=True)
        for name in found.hashed:
            raw.hash_source(Path(planner.raw_token(name)), Path(gate_file(f"raw/{name}")))
        forecaster = Forecaster(settings)
        for one in needed:
            planned = forecaster.plan.recipe(one.step, *one.names)
            buckets = {f"{bucket:02x}": "x" for bucket in range(256)}
            facts = {"buckets": buckets, "architecture": None, "tokens_a_character": 1.0, "longest_row": 100}
            pretended.pretend(forecaster.store, planned, facts)


def prepared(root: Path, count: int) -> "Clone":
    """A clone with `count` models in which everything before them is made."""
    sys.path.append(str(Path(__file__).parents[1]))
    from clone import Clone  # which imports torch

    for number in range(count):
        write_text(root / f"tiny/m{number}/config.json", str(number))
    clone = Clone.new(root / "clone", root / "store", root / "tiny")
    # JSON is YAML too.
    write_text(clone.root / "models.yaml", json.dumps(overlay(count)))
    os.environ["MINDGAUGE_STORE"] = str(clone.store)
    with contextlib.chdir(clone.root), contextlib.redirect_stderr(open(os.devnull, "w")):
        clone.store.mkdir(mode=0o700)
        settings = Settings(overlaid(map(Path, OVERLAYS)))
        pretend(settings)
        gates = Plan(settings, lambda *_: {}, main=False).wanted_gates()
    # Snakemake remembers how they were made, so that they count as made.
    clone.snakemake("--touch", "--quiet", "all", "--", *gates, overlays=("models.yaml",))
    return clone


def listed(out: Path, arguments: list[str]) -> None:
    """Runs Snakemake's command line in this process, and writes the jobs of its DAG to `out`."""
    from snakemake import cli, workflow
    from snakemake.io import strip_wildcard_constraints

    build = workflow.Workflow._build_dag

    def built(self: Any, *args: Any, **options: Any) -> Any:
        done = build(self, *args, **options)
        write_json(
            out,
            [
                {
                    "rule": job.rule.name,
                    "checkpoint": job.rule.is_checkpoint,
                    # In the order of the output's pattern, which JSON objects would not keep.
                    "wildcards": list(job.wildcards_dict.items()),
                    "input": [str(file) for file in job.input],
                    "output": [str(file) for file in job.output],
                    "pattern": [str(file) for file in job.rule.output],
                    "log": [strip_wildcard_constraints(str(file)) for file in job.rule.log],
                    "local": job.is_local,
                    "threads": job.threads,
                    "resources": {name: job.resources.get(name, 0) for name in ("mem_mb", "runtime")},
                    "message": job.rule.message,
                    "run": self.dag.needrun(job),
                }
                for level in self.dag.toposorted()
                for job in level
            ],
        )
        return done

    workflow.Workflow._build_dag = built
    cli.main(arguments)


def environment(clone: "Clone") -> dict[str, str]:
    """That of a driver of the clone."""
    held = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**held, "MINDGAUGE_STORE": str(clone.store), "OMP_NUM_THREADS": "1"}


def jobs_of(clone: "Clone", arguments: list[str]) -> list[dict[str, Any]]:
    """The jobs of the clone's DAG, in an order in which they could run."""
    out = clone.root / "jobs.json"
    command = [sys.executable, __file__, "--list", str(out), *arguments]
    held = {**environment(clone), "PYTHONPATH": str(clone.root / "workflow/scripts")}
    subprocess.run(command, cwd=clone.root, env=held, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found: list[dict[str, Any]] = read_json(out)
    return found


def write_bare(root: Path, jobs: list[dict[str, Any]], *, gates: bool) -> None:
    """A Snakefile of the same jobs, files and edges, with what is made already. With `gates` checkpoints are checkpoints there too,
    asked by those that read their files; without they are rules like others."""
    made_by = {file: job for job in jobs for file in job["output"]}
    table: dict[str, Any] = {}
    text = BARE
    for job in jobs:
        if job["rule"] == "all":
            table["targets"] = job["input"]
            continue
        asked = [of for file in job["input"] if (of := made_by.get(file)) and of["checkpoint"] and gates]
        table.setdefault(job["rule"], {})[" ".join(value for _, value in job["wildcards"])] = {
            "input": job["input"],
            "asks": [[of["rule"], dict(of["wildcards"])] for of in asked],
        }
        if len(table[job["rule"]]) == 1:
            text += BARE_RULE.format(
                kind="checkpoint" if gates and job["checkpoint"] else "rule",
                name=job["rule"],
                output=",\n        ".join(f'"{pattern}"' for pattern in job["pattern"]),
                log=job["log"][0],
                shell=MAKE if job["rule"].startswith("make_") else SHOW,
                **{name: job[name] for name in ("local", "threads", "message")},
                **job["resources"],
            )
    root.mkdir()
    write_text(root / "Snakefile", text)
    write_json(root / "table.json", table)
    # One date for all that is there: nothing is newer than anything.
    date = time.time_ns()
    for job in jobs:
        for file in {*job["input"], *([] if job["run"] else job["output"])}:
            if file not in made_by or not made_by[file]["run"]:
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).touch()
                os.utime(root / file, ns=(date, date))


def without_work(clone: "Clone") -> None:
    """Lets every job of the clone's rules do what those of the bare workflow do."""
    for file in (clone.root / "rules").glob("*.smk"):
        text = re.sub(r'"python workflow/scripts/\w+\.py --entry \{output\}.*"', f'"{MAKE}"', file.read_text())
        text = re.sub(r'"python workflow/scripts/\w+\.py .* > \{log\} 2>&1"', f'"{SHOW}"', text)
        file.write_text(text)


def timed(command: list[str], root: Path, held: dict[str, str]) -> tuple[float, float]:
    """Seconds a process and its children take: by the clock, and of CPU. Raises AssertionError with what it said if it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(command, cwd=root, env=held, stdout=said, stderr=subprocess.STDOUT)
        said.seek(0)
        assert done.returncode == 0, said.read()[-4000:]
    spent, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ways_of(root: Path, count: int) -> tuple[int, int, dict[str, tuple[list[str], Path, dict[str, str]]]]:
    """How many jobs the DAG has, how many of them would run, and the command lines to compare, each with its root and environment."""
    clone = prepared(root, count)
    snakemake = [sys.executable, "-m", "snakemake", "--profile"]
    ours = ["profiles/demo", "--configfile", *OVERLAYS, "--quiet", "all"]
    found = {"ours": ([*snakemake, *ours], clone.root, environment(clone))}
    jobs = jobs_of(clone, ["--profile", *ours, "-n", "--", "all"])
    for name, gates in (("bare", False), ("bare with checkpoints", True)):
        place = root / name.replace(" ", "-")
        write_bare(place, jobs, gates=gates)
        shutil.copytree(clone.root / "profiles/local", place / "profile")
        held = {**environment(clone), "MINDGAUGE_STORE": str(place / "store")}
        found[name] = ([*snakemake, "profile", "--quiet", "all"], place, held)
    without_work(clone)
    return len(jobs), sum(job["run"] for job in jobs), found


def compare(root: Path, count: int, rounds: int, run: bool) -> None:
    """Prints a row of each kind of run for `count` models."""
    jobs, due, ways = ways_of(root, count)
    for kind, more, times in [("dry run", ["-n"], rounds), *([("run", ["--cores", "2"], 1)] if run else [])]:
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(times):
            for name, (command, place, held) in ways.items():
                spent[name].append(timed([*command, *more, "--", "all"], place, held))
        for name, of in spent.items():
            clock, cpu = (statistics.median(part) for part in zip(*of, strict=True))
            ratios = [mine[1] / its[1] for mine, its in zip(spent["ours"], of, strict=True)]
            over = (
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if name != "ours" else "–"
            )
            print(
                f"| {count} | {jobs} | {due} | {kind} | {name} | {clock:.1f} | {cpu:.1f} | {1000 * cpu / jobs:.1f} | {over} |",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        listed(Path(sys.argv[2]), sys.argv[3:])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[5, 50, 200])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", action="store_true", help="run the jobs too, once, each a touch")
    asked = parser.parse_args()
    print(
        f"{machine.cpu()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}\n"
    )
    print("| models | jobs | to run | | workflow | s | CPU s | CPU ms a job | ours over it, CPU |")
    print("|---|---|---|---|---|---|---|---|---|")
    for count in asked.models:
        with tempfile.TemporaryDirectory() as directory:
            compare(Path(directory), count, asked.rounds, asked.run)
