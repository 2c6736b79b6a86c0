"""What the jobs of a run asked SLURM for and what they used, by the accounting (sacct). Which job was what is told by Snakemake's own
log, so that a cluster need not keep comments, and a run may have lasted for days."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.files import read_json
from mindgauge.progress import span
from mindgauge.recipe import RECIPES
from mindgauge.slurm import SUBMITTED, ask, key_of

DRIVER = Path(".snakemake/log")
FIELDS = ("JobID", "State", "Elapsed", "Timelimit", "TotalCPU", "MaxRSS", "AllocTRES")
TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$")


@dataclass
class Used:
    """A job: what it is, how it ended, `ran` of `limit` seconds, `cpu` core seconds on `cpus` cores, `memory` of `asked` MB at most,
    `gpus`, and of a training that is done the seconds it trained, in all its jobs."""

    number: str
    what: str
    state: str
    ran: float
    limit: float
    cpus: int
    asked: float
    gpus: int
    cpu: float = 0.0
    memory: float = 0.0
    trained: float | None = None


def seconds(text: str) -> float:
    """Seconds of a time as sacct writes it, [days-][hours:]minutes:seconds; 0 for words such as UNLIMITED."""
    match = TIME.match(text)
    if not match:
        return 0.0
    days, hours, minutes, rest = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + rest


def submitted(log: str) -> dict[str, tuple[str, str | None]]:
    """SLURM's number -> what the job is and the key of its entry, by Snakemake's log."""
    found = {}
    for number, path in SUBMITTED.findall(log):
        rule, wildcards = Path(path).parent.parent.name, Path(path).parent.name
        if rule == "slurm_logs":  # a rule without wildcards
            rule, wildcards = wildcards, ""
        key = key_of(wildcards)
        names = wildcards.removesuffix(key or "").rstrip("_")
        found[number] = (f"{rule.removeprefix('rule_').removeprefix('make_')} {names}".strip(), key)
    return found


def parse(text: str, names: Mapping[str, tuple[str, str | None]]) -> list[Used]:
    """The jobs from lines of sacct with FIELDS, sizes in MB: a line a job, followed by lines of its steps, which hold the peak memory."""
    found: dict[str, Used] = {}
    for line in text.splitlines():
        of = dict(zip(FIELDS, line.split("|"), strict=True))
        number, _, step = of["JobID"].partition(".")
        if not step:
            held = dict(part.split("=") for part in of["AllocTRES"].split(",") if part)
            found[number] = Used(
                number,
                names[number][0],
                of["State"].split(" ")[0],
                seconds(of["Elapsed"]),
                seconds(of["Timelimit"]),
                int(held.get("cpu", 0)),
                float(held.get("mem", "0M").rstrip("M")),
                int(held.get("gres/gpu", 0)),
                seconds(of["TotalCPU"]),
            )
        elif number in found and of["MaxRSS"]:
            found[number].memory = max(found[number].memory, float(of["MaxRSS"].rstrip("M")))
    return list(found.values())


def _trained(key: str | None) -> float | None:
    """How long a training says it took, if it is done."""
    for recipe in RECIPES.glob(f"train/*/{key}.json"):
        run = Path(read_json(recipe)["store"]["path"]) / recipe.relative_to(RECIPES).with_suffix("") / "run.json"
        if run.is_file():
            return float(read_json(run)["seconds"])
    return None


def look(everything: bool = False) -> list[Used]:
    """The jobs of the last run that submitted any, or of all runs in this clone whose logs are there. Raises UserError if there is none, or
    no accounting."""
    logs = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(DRIVER.glob("*.snakemake.log"))]
    runs = [names for names in map(submitted, logs) if names]
    if not runs:
        raise UserError(
            "no run has submitted a job here",
            where=str(DRIVER),
            instead="snakemake --profile profiles/slurm all, first",
        )
    names = {number: of for run in (runs if everything else runs[-1:]) for number, of in run.items()}
    said = ask("sacct", "-P", "-n", "--units=M", "-j", ",".join(names), "-o", ",".join(FIELDS))
    if not said:
        raise UserError(
            "SLURM tells nothing of these jobs",
            where="sacct",
            instead="a machine of a cluster that keeps accounts (slurmdbd); it may forget old jobs",
        )
    found = parse(said, names)
    for job in found:
        if job.what.startswith("train ") and job.state == "COMPLETED":
            job.trained = _trained(names[job.number][1])
    return found


def _share(used: float, asked: float) -> str:
    return f" ({used / asked:.0%})" if asked else ""


def table(jobs: Iterable[Used]) -> str:
    """The jobs as text: a line each, and the sums."""
    jobs = list(jobs)
    ran: dict[str, float] = {}
    for job in jobs:
        ran[job.what] = ran.get(job.what, 0.0) + job.ran
    rows = [("job", "what", "state", "time of asked", "cores of asked", "GB of asked", "GPU hours", "trained")]
    for job in jobs:
        cores = job.cpu / job.ran if job.ran else 0.0
        rows.append(
            (
                job.number,
                job.what,
                job.state,
                f"{span(job.ran)} of {span(job.limit)}{_share(job.ran, job.limit)}",
                f"{cores:.1f} of {job.cpus}{_share(cores, job.cpus)}",
                f"{job.memory / 1024:.1f} of {job.asked / 1024:.1f}{_share(job.memory, job.asked)}",
                f"{job.gpus * job.ran / 3600:.2f}" if job.gpus else "–",
                f"{job.trained / ran[job.what]:.0%}" if job.trained is not None and job.ran else "–",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text.insert(1, "  ".join("-" * width for width in widths))
    used, held = sum(job.cpu for job in jobs) / 3600, sum(job.cpus * job.ran for job in jobs) / 3600
    text.append(
        f"{len(jobs)} jobs: {used:.2f} core hours used of {held:.2f} held{_share(used, held)}, "
        f"{sum(job.gpus * job.ran for job in jobs) / 3600:.2f} GPU hours held"
    )
    return "\n".join(text)
