"""Does the cluster have what a profile asks of it? Its own programs (sinfo, scontrol, sacctmgr) are asked; nothing is submitted."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.findings import Finding, failure, ok, warning

NEEDED = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
ACCOUNTING = ("sacct", "sacctmgr")
# The plugin asks squeue after 40 s, then ever less often, at most every so many seconds.
LONGEST_POLL = 180
PATIENCE = 20
PROFILE = "profiles/slurm/config.yaml, or the environment variable named there"


@dataclass(frozen=True)
class Request:
    """What the jobs of `rules` ask for. Memory in MB, time in minutes."""

    rules: tuple[str, ...]
    partition: str | None = None
    account: str | None = None
    gres: str | None = None
    cpus: int = 1
    memory: int = 0
    minutes: int = 0


@dataclass
class Partition:
    """What sinfo tells of a partition, the most any of its nodes has. `minutes` is None where there is no limit."""

    up: bool = False
    minutes: int | None = None
    cpus: int = 0
    memory: int = 0
    gres: set[str] = field(default_factory=set)


def read_profile(directory: Path) -> dict[str, Any]:
    """A profile with its environment overrides filled in, as Snakemake reads it. Raises UserError."""
    from yte import process_yaml

    path = directory / "config.yaml"
    try:
        with path.open(encoding="utf-8") as file:
            found: dict[str, Any] = process_yaml(file)
    except FileNotFoundError:
        raise UserError("there is no such profile", where=str(path), instead="PROFILE=slurm, local or demo") from None
    except Exception as error:  # whatever YAML, or an expression in it, raises
        raise UserError(
            f"this profile cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            instead="put the line right; an environment variable for a number must hold a number",
        ) from None
    return found


def _first(value: Any) -> Any:
    """A resource of a profile as Snakemake works it out for the first attempt of a training on one GPU; words stay as they are."""
    try:
        return eval(str(value), {"threads": 8, "attempt": 1})
    except (NameError, SyntaxError):
        return value


def requests(profile: dict[str, Any]) -> list[Request]:
    """What the profile asks for: the defaults, and each rule's own."""
    defaults = profile.get("default-resources", {})
    found: dict[Request, list[str]] = {}
    for rule, own in {"": {}, **profile.get("set-resources", {})}.items():
        of = {name: _first(value) for name, value in {**defaults, **own}.items()}
        asked = Request(
            (),
            of.get("slurm_partition"),
            of.get("slurm_account"),
            of.get("gres"),
            int(of.get("cpus_per_task", 1)),
            int(of.get("mem_mb", 0)),
            int(of.get("runtime", 0)),
        )
        found.setdefault(asked, []).append(rule or "all other rules")
    return [Request(tuple(rules), *list(vars(asked).values())[1:]) for asked, rules in found.items()]


def ask(*command: str) -> str | None:
    """What a program prints; None where it is missing, fails, or does not answer in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def tools() -> Iterator[Finding]:
    """Are SLURM's programs here?"""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        yield failure(
            "SLURM's programs",
            f"not found: {', '.join(missing)}",
            "run this on the login node (perhaps after `module load slurm`); without SLURM: make doctor PROFILE=local",
        )
        return
    yield ok("SLURM's programs", ", ".join(NEEDED))
    if missing := [name for name in ACCOUNTING if shutil.which(name) is None]:
        yield warning(
            "accounting",
            f"not found: {', '.join(missing)}",
            "nothing, unless you want to see afterwards what jobs used: the profile asks squeue",
        )


def _minutes(text: str) -> int | None:
    """SLURM's [days-]hours:minutes:seconds as minutes; None for `infinite`."""
    if not (match := re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)):
        return None
    days, hours, minutes, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + minutes


def parse_partitions(text: str) -> dict[str, Partition]:
    """Partitions by name, from lines `name|up|time limit|CPUs|MB|gres`."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, up, limit, cpus, memory, gres = (part.strip() for part in line.split("|"))
        of = found.setdefault(name.rstrip("*"), Partition())
        of.up |= up == "up"
        of.minutes = _minutes(limit)
        of.cpus = max(of.cpus, int(cpus.rstrip("+") or 0))
        of.memory = max(of.memory, int(memory.rstrip("+") or 0))
        # gpu:a40:2(S:0-1) -> gpu:a40; several are divided by commas.
        of.gres |= {re.sub(r"(:\d+)?$", "", one) for one in re.sub(r"\([^)]*\)", "", gres).split(",") if one}
    return found


def check_request(asked: Request, partitions: dict[str, Partition]) -> Iterator[Finding]:
    """Can a job that asks for this start at all?"""
    about = f"partition of {', '.join(asked.rules)}"
    if asked.partition is None:
        yield ok(about, "the cluster's default")
        return
    of = partitions.get(asked.partition)
    if of is None:
        yield failure(
            about, f"there is no partition {asked.partition!r}", f"one of {', '.join(partitions)}; set it in {PROFILE}"
        )
        return
    wrong = []
    if not of.up:
        wrong.append(("it is down", "another partition, or ask when it comes back"))
    if asked.gres and (kind := re.sub(r"(:\d+)?$", "", asked.gres)) not in {
        *of.gres,
        *(g.split(":")[0] for g in of.gres),
    }:
        has = ", ".join(sorted(of.gres)) or "none"
        wrong.append(
            (f"no node has {kind} (there: {has})", f"gres that sinfo names, e.g. MINDGAUGE_GRES=gpu:1; {PROFILE}")
        )
    if asked.cpus > of.cpus:
        wrong.append((f"{asked.cpus} CPUs are asked, no node has more than {of.cpus}", f"cpus_per_task in {PROFILE}"))
    if asked.memory > of.memory:
        wrong.append((f"{asked.memory} MB are asked, no node has more than {of.memory}", f"mem_mb in {PROFILE}"))
    if of.minutes is not None and asked.minutes > of.minutes:
        wrong.append((f"{asked.minutes} minutes are asked, its limit is {of.minutes}", f"runtime in {PROFILE}"))
    for said, instead in wrong:
        yield failure(about, f"{asked.partition}: {said}", instead)
    if not wrong:
        gres = f", {asked.gres}" if asked.gres else ""
        yield ok(about, f"{asked.partition}{gres}")


def check_partitions(asked: Iterable[Request]) -> Iterator[Finding]:
    """Every request of the profile against what sinfo tells."""
    said = ask("sinfo", "--noheader", "--format", "%P|%a|%l|%c|%m|%G")
    if said is None:
        yield failure("partitions", "sinfo does not answer", "see that the controller is up: scontrol ping")
        return
    partitions = parse_partitions(said)
    for one in asked:
        yield from check_request(one, partitions)


def check_accounts(asked: Iterable[Request], user: str) -> Iterator[Finding]:
    """May this user charge the accounts that the profile names?"""
    named = sorted({one.account for one in asked if one.account})
    said = ask("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", "format=account")
    if said is None:
        if named:
            yield warning(
                "account", f"{', '.join(named)}: cannot be checked, sacctmgr does not answer", "ask your admin"
            )
        return
    held = sorted({line.strip() for line in said.splitlines() if line.strip()})
    if wrong := [name for name in named if name not in held]:
        yield failure(
            "account",
            f"{user} may not use {', '.join(wrong)}",
            f"one of {', '.join(held)}; set it in {PROFILE}" if held else "ask your admin for an account",
        )
    elif named or held:
        yield ok("account", ", ".join(named) or f"the default of {', '.join(held)}")
    else:
        yield warning(
            "account",
            f"{user} has none",
            "nothing where the cluster takes jobs without one, else ask your admin for one",
        )


def check_min_job_age(profile: dict[str, Any]) -> Iterator[Finding]:
    """Does squeue remember an ended job for longer than the plugin waits between two questions?"""
    if profile.get("slurm-status-command") != "squeue":
        yield warning(
            "status of jobs",
            "sacct is asked: a job that is cancelled from outside is never noticed",
            "slurm-status-command: squeue in the profile",
        )
        return
    match = re.search(r"^MinJobAge\s*=\s*(\d+)", ask("scontrol", "show", "config") or "", re.MULTILINE)
    if match is None:
        yield warning("MinJobAge", "scontrol show config does not tell it", f"see that it is above {LONGEST_POLL} s")
    elif int(match[1]) <= LONGEST_POLL:
        yield failure(
            "MinJobAge",
            f"{match[1]} s: squeue forgets an ended job before it is asked again (every {LONGEST_POLL} s at most)",
            f"ask your admin for MinJobAge above {LONGEST_POLL} in slurm.conf (SLURM's default is 300)",
        )
    else:
        yield ok("MinJobAge", f"{match[1]} s, above the {LONGEST_POLL} s between two questions")


def try_on_node(asked: Request, python: Path, seconds: int = 300) -> Iterator[Finding]:
    """Runs the environment's Python on a node with what `asked` asks for, by srun."""
    about = f"a job of {asked.rules[0]}"
    command = ["srun", "--job-name=mindgauge-doctor", "--ntasks=1", "--time=5", f"--immediate={seconds}"]
    for option, value in (("partition", asked.partition), ("account", asked.account), ("gres", asked.gres)):
        command += [f"--{option}={value}"] if value else []
    program = (
        "import platform, torch;"
        "print(platform.python_version(), torch.__version__, torch.cuda.is_available(), platform.node(), sep='|')"
    )
    try:
        done = subprocess.run(
            [*command, str(python), "-c", program], capture_output=True, text=True, timeout=seconds + 300
        )
    except (OSError, subprocess.SubprocessError) as error:
        yield failure(
            about, f"srun did not end ({type(error).__name__})", "see squeue --me, and whether nodes are free"
        )
        return
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        yield failure(
            about,
            f"{python} does not run on a node: {said}",
            "the checkout and the Python behind .venv must lie on a file system that the nodes share; docs/cluster.md",
        )
        return
    version, torch, cuda, node = done.stdout.strip().splitlines()[-1].split("|")
    if asked.gres and cuda != "True":
        yield failure(
            about,
            f"on {node} torch {torch} sees no GPU",
            "a torch build for the driver of the nodes (docs/cluster.md), or another gres",
        )
    else:
        yield ok(about, f"{node}: Python {version}, torch {torch}" + (", GPU seen" if asked.gres else ""))
