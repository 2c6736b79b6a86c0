"""How far a run is, by what it leaves behind: recipes (what is planned), stamps and store (what is made), logs (what goes on).

Nothing is planned, hashed or written here, so that a look costs a running workflow nothing. Of a log only numbers and the messages
meant for users are passed on.
"""

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mindgauge.files import read_json
from mindgauge.recipe import RECIPES, STAMPS
from mindgauge.slurm import Job, logged, queue
from mindgauge.store import Store

LOGS, DRIVER = Path("results/logs"), Path(".snakemake/log")
DATA = ("ingest", "unify", "minimise", "split", "label", "merge_labels", "make_sft")
MODEL = (
    "base",
    "train",
    "llama_factory",
    "merge",
    "convert",
    "imatrix",
    "quantise",
    "choose",
    "evaluate",
    "fidelity",
    "bench",
    "judge",
    "bundle",
)
REST = ("baselines", "export", "report", "catalogue", "crate")
STATES = ("failed", "running", "queued", "stopped", "waiting", "done")
TAIL = 1 << 16
# A program needs so long to load its libraries before it tells that it works; on another machine's word one waits longer.
STARTING, SILENT = 120, 900
TRAINED = re.compile(r"step (\d+)/(\d+), ([\d.]+)/s(?:, (.+?) left)?(?:, (?:eval_)?loss [\d.naif]+)?$")
COUNTED = re.compile(r"(\d+)(?:/(\d+))? ([a-z][a-z ,]*), ([\d.]+)/s(?:, (.+?) left)?$")
LOSS = re.compile(r", (loss|eval_loss) ([\d.]+)$")
OF_ALL = re.compile(r"(\d+) of (\d+) steps \(\d+%\) done")


@dataclass
class Progress:
    """What the last line of progress of a log says; `left` as it says it."""

    what: str
    done: int
    total: int | None
    rate: float
    left: str | None = None
    loss: float | None = None
    eval_loss: float | None = None


@dataclass
class Entry:
    """One entry: what it is, how it stands, and where its log lies."""

    step: str
    names: tuple[str, ...]
    key: str
    state: str = "waiting"
    progress: Progress | None = None
    slurm: str | None = None
    log: str | None = None
    said: str | None = None

    @property
    def where(self) -> str:
        """The entry's path below the store."""
        return "/".join([self.step, *self.names, self.key])

    @property
    def title(self) -> str:
        """The step, and of a model what is made of it."""
        return " ".join([self.step, *(self.names[1:] if self.step in MODEL else self.names)])


@dataclass
class Line:
    """One line of the status: a model, or the part before or after the models."""

    name: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The state that matters most of all entries."""
        return min((entry.state for entry in self.entries), key=STATES.index, default="waiting")

    @property
    def shown(self) -> list[Entry]:
        """The entries that are in that state."""
        return [entry for entry in self.entries if entry.state == self.state]

    @property
    def done(self) -> int:
        """How many entries are made."""
        return sum(entry.state == "done" for entry in self.entries)


def read_progress(text: str) -> Progress | None:
    """The progress that the end of a log tells."""
    found: Progress | None = None
    losses: dict[str, float] = {}
    for line in text.splitlines():
        if loss := LOSS.search(line):
            losses[loss[1]] = float(loss[2])
        if match := TRAINED.match(line):
            found = Progress("steps", int(match[1]), int(match[2]), float(match[3]), match[4])
        elif match := COUNTED.match(line):
            found = Progress(match[3], int(match[1]), int(match[2]) if match[2] else None, float(match[4]), match[5])
    if found and found.what == "steps":
        found.loss, found.eval_loss = losses.get("loss"), losses.get("eval_loss")
    return found


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read().decode("utf-8", "replace")


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _log(where: str) -> Path:
    return LOGS / f"{where}.log"


def newest() -> list[Entry]:
    """Of each step and names the entry that was planned, worked on or made last."""
    latest: dict[tuple[str, ...], tuple[float, str]] = {}
    for recipe in RECIPES.rglob("*.json"):
        where = recipe.relative_to(RECIPES).with_suffix("").as_posix()
        *name, key = where.split("/")
        date = max(map(_changed, (recipe, STAMPS / where, _log(where))))
        latest[tuple(name)] = max(latest.get(tuple(name), (0.0, "")), (date, key))
    return [Entry(step, tuple(names), key) for (step, *names), (_, key) in sorted(latest.items())]


def _alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _at_work(store: Store, where: str, silent: float) -> bool:
    """Does a process make the entry? Its directory aside names machine and process; of another machine the log's silence decides."""
    prefix = f"{where.replace('/', '+')}."
    for path in (store.root / ".aside").glob(f"{prefix}*"):
        node, _, number = path.name.removeprefix(prefix).rpartition(".")
        return _alive(int(number)) if node == os.uname().nodename else silent < SILENT
    return False


def judge(entry: Entry, store: Store, jobs: Mapping[str, Job], queued: Mapping[str, Job] | None) -> None:
    """Fills in how an entry stands."""
    job, listed = jobs.get(entry.key), None
    if queued is not None:
        listed = queued.get(entry.key) or (queued.get(job.number) if job else None)
    job = listed or job
    entry.slurm = job.number if job else None
    log = _log(entry.where)
    if log.is_file():
        entry.log = str(log)
    if (STAMPS / entry.where).is_file() or store.has(entry.where):
        entry.state = "done"
        return
    text = _tail(log) if entry.log else ""
    silent = time.time() - _changed(log)
    entry.progress = read_progress(text)
    said = re.findall(r"^mindgauge: (.+)$", text, re.MULTILINE)
    if listed:
        entry.state = "queued" if listed.state == "PENDING" else "running"
    elif _at_work(store, entry.where, silent):
        entry.state = "running"
    elif said or "Traceback (most recent call last)" in text:
        entry.state, entry.said = "failed", said[-1] if said else None
    elif entry.log and "stopped at step" not in text and silent < STARTING:
        entry.state = "running"
    elif job and queued is None and not entry.log:
        entry.state = "queued"
    elif entry.log:
        entry.state = "stopped"


def _asked(entries: Iterable[Entry]) -> list[Entry]:
    """The entries without those of models, variants and quants that the last plan does not name any more."""
    entries = list(entries)

    def params(step: str) -> dict[str, Any]:
        return {
            name: read_json(RECIPES / f"{entry.where}.json")["recipe"]["params"]
            for entry in entries
            if entry.step == step
            for name in (entry.names or ("",))
        }

    models, judged = params("report").get("", {}).get("models"), params("judge")

    def asked(entry: Entry) -> bool:
        if entry.step not in MODEL or entry.step == "base":
            return True
        if models is not None and entry.names[0] not in models:
            return False
        of = judged.get(entry.names[0])
        known = {"evaluate": "variants", "quantise": "quants", "bundle": "quants"}.get(entry.step)
        return of is None or known is None or entry.names[1] in of[known]

    return [entry for entry in entries if asked(entry)]


def lines(entries: Iterable[Entry]) -> list[Line]:
    """The entries as lines: data and labels, each model, the report."""
    entries = list(entries)
    models = {entry.names[0]: Line(entry.names[0]) for entry in entries if entry.step in MODEL[1:]}
    if not models:
        models = {entry.names[0]: Line(entry.names[0]) for entry in entries if entry.step == "base"}
    first, last = Line("data and labels"), Line("report")
    for entry in entries:
        if entry.step in MODEL:
            # The base of several seeds is no model of its own.
            models.get(entry.names[0], first).entries.append(entry)
        else:
            (first if entry.step in DATA else last).entries.append(entry)
    order = [*DATA, *MODEL, *REST]
    found = [line for line in (first, *models.values(), last) if line.entries]
    for line in found:
        line.entries.sort(key=lambda entry: (order.index(entry.step), entry.names))
    return found


def driver() -> str:
    """The end of the log of the Snakemake that was started last."""
    logs = sorted(DRIVER.glob("*.snakemake.log"))
    return _tail(logs[-1]) if logs else ""


def look() -> tuple[list[Line], tuple[int, int] | None]:
    """The lines, and how many jobs of how many the last Snakemake has done, views and gates among them."""
    entries = _asked(newest())
    if not entries:
        return [], None
    of = read_json(RECIPES / f"{entries[0].where}.json")["store"]
    store, said = Store(Path(of["path"]), group=of["group"]), driver()
    jobs, queued = logged(said), queue()
    for entry in entries:
        judge(entry, store, jobs, queued)
    counted = OF_ALL.findall(said)
    return lines(entries), (int(counted[-1][0]), int(counted[-1][1])) if counted else None


def _row(line: Line) -> tuple[str, ...]:
    shown = [] if line.state == "done" else line.shown
    first = next((entry for entry in shown if entry.progress), shown[0] if shown else None)
    step = (first.title + (f" (+{len(shown) - 1})" if len(shown) > 1 else "")) if first else "–"
    if line.state == "waiting" and first:
        step = first.title
    of = first.progress if first and line.state != "waiting" else None
    loss = of.loss if of and of.loss is not None else None
    return (
        line.name,
        line.state,
        f"{line.done}/{len(line.entries)}",
        step,
        f"{of.done}{f'/{of.total}' if of.total is not None else ''} {of.what}" if of else "–",
        f"{loss:.4f}" if loss is not None else "–",
        f"{of.rate:g}/s" if of else "–",
        (of.left if of and line.state == "running" else None) or "–",
        (first.slurm if first else None) or "–",
    )


def table(found: list[Line], counted: tuple[int, int] | None) -> str:
    """The status as text: a line a model, below it what failed and where its log lies."""
    if not found:
        return "nothing was planned here yet: results/.recipes is empty (make demo, or snakemake --profile profiles/local all)"
    rows = [("what", "state", "made", "step", "progress", "loss", "rate", "left", "SLURM"), *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text.insert(1, "  ".join("-" * width for width in widths))
    if counted:
        text.append(f"last Snakemake: {counted[0]} of {counted[1]} jobs done")
    for line in found:
        for entry in line.entries:
            if entry.state in ("failed", "stopped"):
                text.append(f"{line.name}: {entry.title} {entry.state}" + (f": {entry.said}" if entry.said else ""))
                text.append(f"  log: {entry.log}")
    return "\n".join(text)


def plain(found: list[Line], counted: tuple[int, int] | None) -> dict[str, Any]:
    """The status as plain data, for programs."""
    return {
        "jobs": {"done": counted[0], "of": counted[1]} if counted else None,
        "lines": [
            {
                "name": line.name,
                "state": line.state,
                "done": line.done,
                "of": len(line.entries),
                "entries": [asdict(entry) for entry in line.entries],
            }
            for line in found
        ],
    }
