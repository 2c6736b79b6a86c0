"""What SLURM and Snakemake's plugin for it say of the jobs of this clone. A job is known by the key of the entry it makes: the
plugin puts the wildcards, of which the key is the last, into the job's comment and into the name of its log's directory."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mindgauge.hashing import KEY_DIGITS

LOGS = Path(".snakemake/slurm_logs")
KEY = re.compile(rf"(?:^|_)([0-9a-f]{{{KEY_DIGITS}}})$")
SUBMITTED = re.compile(r"SLURM jobid (\d+(?:_\d+)?) \(log: (\S+)\)")
# A controller that does not answer must not hold up a look at the logs.
PATIENCE = 10


@dataclass(frozen=True)
class Job:
    """A job's number, and its state as squeue names it; empty where the queue does not list it."""

    number: str
    state: str = ""


def key_of(text: str) -> str | None:
    """The key at the end of a job's comment, or of the name of its log's directory; None for a job that makes no entry."""
    match = KEY.search(text)
    return match[1] if match else None


def logged(driver: str = "") -> dict[str, Job]:
    """key -> the job that was submitted last for it: by the plugin's logs, and by what Snakemake's own log, `driver`, tells of a job
    that has not started yet."""
    found: dict[str, Job] = {}
    for path in sorted(LOGS.glob("rule_*/*/*.log"), key=lambda path: path.stat().st_mtime):
        if key := key_of(path.parent.name):
            found[key] = Job(path.stem)
    for number, log in SUBMITTED.findall(driver):
        if key := key_of(Path(log).parent.name):
            found[key] = Job(number)
    return found


def parse_queue(text: str) -> dict[str, Job]:
    """Jobs by number and, where the cluster keeps comments, by key; from lines `number|STATE|comment`."""
    found = {}
    for line in text.splitlines():
        number, _, rest = line.partition("|")
        state, _, comment = rest.partition("|")
        job = found[number.strip()] = Job(number.strip(), state.strip())
        if key := key_of(comment.strip()):
            found[key] = job
    return found


def ask(*command: str) -> str | None:
    """What a command of SLURM prints; None where there is none, or it does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def queue() -> dict[str, Job] | None:
    """This user's jobs that wait or run, as `parse_queue` gives them; None where there is no squeue, or it does not answer."""
    said = ask("squeue", "--me", "--noheader", "--format", "%i|%T|%k")
    return None if said is None else parse_queue(said)
