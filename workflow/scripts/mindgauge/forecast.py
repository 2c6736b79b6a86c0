"""Before a run: which entries it would make and why, and what that takes. Nothing is written, and no job is run to find out.

What hangs on a gate that is to be made anew cannot be known: its content may turn out the same.
"""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgauge import disk, raw
from mindgauge.changes import compare
from mindgauge.config import Settings
from mindgauge.errors import UserError
from mindgauge.files import read_json
from mindgauge.plan import TARGETS, Plan, gate_file, maker
from mindgauge.progress import span
from mindgauge.recipe import Input

LOGS = Path("results/logs")
DONE = re.compile(r"done in (?:(\d+) h )?(?:(\d+) min )?(?:(\d+) s)?$")
# Labellers whose rule asks for a GPU, as training does (profiles/slurm).
ON_GPU = ("llama-cpp", "transformers")


class _Unknown(Exception):
    """A gate that does not tell, since it was not made, or would be made anew."""

    def __init__(self, gate: str) -> None:
        super().__init__(gate)
        self.gate = gate


@dataclass
class Needed:
    """An entry that would be made. `why` is empty if nothing of the kind was made before. `seconds` and `bytes` are those of an
    earlier one; None where there is none. `gpu`: its rule asks for one."""

    step: str
    names: tuple[str, ...]
    why: list[str]
    seconds: float | None = None
    bytes: int | None = None
    gpu: bool = False

    @property
    def title(self) -> str:
        """Step and names."""
        return " ".join([self.step, *self.names])


@dataclass
class Forecast:
    """What a run would make, the raw files whose hash it would need first, and, by gate, what cannot be known before that."""

    needed: list[Needed] = field(default_factory=list)
    hashed: list[str] = field(default_factory=list)
    unknown: dict[str, list[Needed]] = field(default_factory=dict)
    free: int = 0


class Forecaster:
    """Plans as Snakemake would, with the gates as they lie in results/.gates."""

    def __init__(self, settings: Settings) -> None:
        self.plan = Plan(settings, self._ask, main=False)
        self.settings, self.store = settings, self.plan.store
        self._gates: dict[str, dict[str, Any] | None] = {}
        self._seen: set[tuple[str, ...]] = set()
        self.found = Forecast()

    # Gates

    def _current(self, gate: str) -> dict[str, Any] | None:
        file = Path(gate_file(gate))
        if not file.is_file():
            return None
        found: dict[str, Any] = read_json(file)
        kind, _, name = gate.partition("/")
        if kind == "raw":
            return found if raw.known(name, self.plan.raw_token(name)) else None
        try:
            return found if found["where"] == self.plan.recipe(*maker(gate)).where else None
        except _Unknown:
            return None

    def _ask(self, gate: str, fact: str | None = None) -> dict[str, Any]:
        if gate not in self._gates:
            self._gates[gate] = self._current(gate)
        found = self._gates[gate]
        if found is None or (fact and fact not in found["facts"]):
            raise _Unknown(gate)
        return found

    # Entries

    def wanted(self, target: str) -> list[tuple[str, ...]]:
        """The entries, as step and names, that a target shows: a name of the Snakefile, or a file below results/. Raises UserError."""
        views = [(f"results/{view}", (step, *names)) for view, step, names, _ in self.plan.views()]
        if target == "all":
            return list(dict.fromkeys([*(entry for _, entry in views), ("catalogue",)]))
        if target in TARGETS:
            found = [entry for _, entry in views if entry[0] in TARGETS[target]]
            return list(dict.fromkeys([*found, ("export",)] if target == "export" else found))
        found = [entry for view, entry in views if view == target]
        if not found:
            raise UserError(
                "there is no such target",
                where=target,
                instead=f"one of {', '.join(['all', *TARGETS])}, or a file such as {views[-1][0]}",
            )
        return found

    def _earlier(self, step: str, names: tuple[str, ...]) -> list[Path]:
        """The manifests of entries of a step of the same names, the newest last; if there are none, of the same first name."""
        root = self.store.root / step
        below = [root.joinpath(*names), *([root / names[0]] if names else [])]
        depths = [1, len(names)]
        for place, depth in zip(below, depths, strict=False):
            if found := list(place.glob("/".join(["*"] * depth) + "/manifest.json")):
                return sorted(found, key=lambda path: path.stat().st_mtime)
        return []

    def _seconds(self, manifest: Path) -> float | None:
        """How long an entry took: a training says so, of others their log does."""
        run = manifest.parent / "run.json"
        if run.is_file() and isinstance(seconds := read_json(run).get("seconds"), int | float):
            return float(seconds)
        log = LOGS / f"{manifest.parent.relative_to(self.store.root).as_posix()}.log"
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] if log.is_file() else []
        if not last or not (match := DONE.search(last[0])):
            return None
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return hours * 3600.0 + minutes * 60 + seconds

    def _estimate(self, step: str, *names: str) -> Needed:
        """An entry with what an earlier one took."""
        gpu = step == "train" or (step == "label" and self.settings.voters[names[0]].backend in ON_GPU)
        needed = Needed(step, names, [], gpu=gpu)
        if earlier := self._earlier(step, names):
            needed.bytes = sum(of["size"] for of in read_json(earlier[-1])["files"].values())
            known = [seconds for path in earlier if (seconds := self._seconds(path)) is not None]
            needed.seconds = known[-1] if known else None
        return needed

    def _changed(self, step: str, *names: str) -> list[str]:
        """What changed against the newest entry of the same step and names."""
        root = self.store.root.joinpath(step, *names)
        same = [path for path in self._earlier(step, names) if path.parent.parent == root]
        return compare(read_json(same[-1])["recipe"], self.plan.recipe(step, *names).hashed()) if same else []

    def visit(self, step: str, *names: str) -> None:
        """Finds what must be made for an entry: first what it is made from, then itself."""
        if (step, *names) in self._seen:
            return
        self._seen.add((step, *names))
        try:
            recipe = self.plan.recipe(step, *names)
        except _Unknown as unknown:
            self._behind(unknown.gate, step, names)
            return
        if self.store.has(recipe.where):
            return
        inputs: list[Input] = [*recipe.inputs.values(), *(one for of in recipe.lists.values() for one in of)]
        for source in inputs:
            if source.where is not None:
                parts = source.where.split("/")
                self.visit(parts[0], *parts[1:-1])
        needed = self._estimate(step, *names)
        needed.why = self._changed(step, *names)
        self.found.needed.append(needed)

    def _behind(self, gate: str, step: str, names: tuple[str, ...]) -> None:
        """Notes what cannot be known before a gate has run, and finds what must be made for the gate."""
        behind = self.found.unknown.setdefault(gate, [])
        behind.append(self._estimate(step, *names))
        # Entries that no view shows are asked for by those that read them.
        if step == "judge":
            self.visit("fidelity", *names)
        if step == "merge_labels" and gate == "minimised":
            shards = range(self.settings.config.label.shards)
            behind += [self._estimate("label", voter, str(shard)) for voter in self.settings.voters for shard in shards]
        kind, _, name = gate.partition("/")
        if kind != "raw":
            self.visit(*maker(gate))
        elif name not in self.found.hashed:
            self.found.hashed.append(name)


def forecast(settings: Settings, targets: list[str]) -> Forecast:
    """What a run for some targets would make. Raises UserError for a target that does not exist, or raw files that are not there."""
    forecaster = Forecaster(settings)
    for name in forecaster.plan.raws():
        forecaster.plan.raw_token(name)
    for target in targets:
        for entry in forecaster.wanted(target):
            forecaster.visit(*entry)
    place = forecaster.store.root
    while not place.exists():
        place = place.parent
    forecaster.found.free = shutil.disk_usage(place).free
    return forecaster.found


def _counted(entries: list[Needed]) -> str:
    return ", ".join(f"{step} {count}" for step, count in Counter(entry.step for entry in entries).items())


def _sum(values: list[float | None], say: Callable[[float], str]) -> str:
    """A sum, or what is known of it."""
    if not values:
        return "none"
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    left = len(values) - len(known)
    return f"about {say(sum(known))}" + (f" and {left} of {len(values)} jobs of unknown" if left else "")


def text(found: Forecast) -> str:
    """The forecast as text."""
    lines = []
    for one in found.needed:
        lines.append(one.title)
        lines += [f"  {why}" for why in (one.why or ["made for the first time"])]
    if found.hashed:
        lines.append(f"raw files to look at first, since they are new or changed: {', '.join(found.hashed)}")
    for gate, entries in found.unknown.items():
        lines.append(f"not known before the gate {gate} has run: {_counted(entries)}")
    if not lines:
        return "nothing is to be made: all that is asked for is in the store"
    behind = [entry for entries in found.unknown.values() for entry in entries]

    def both(of: Callable[[list[Needed]], str]) -> str:
        return of(found.needed) + (f"; behind gates up to: {of(behind)}" if behind else "")

    def jobs(entries: list[Needed]) -> str:
        return f"{len(entries)} ({_counted(entries)})" if entries else "none"

    def seconds(entries: list[Needed]) -> str:
        return _sum([entry.seconds for entry in entries], span)

    def hours(entries: list[Needed]) -> str:
        return _sum([entry.seconds for entry in entries if entry.gpu], lambda found: f"{found / 3600:.2f}")

    def size(entries: list[Needed]) -> str:
        return _sum([entry.bytes for entry in entries], disk.size)

    return "\n".join(
        [
            *lines,
            "",
            f"jobs: {both(jobs)}",
            f"time, one after another: {both(seconds)}",
            f"GPU hours: {both(hours)}",
            f"disk: {both(size)}; free: {disk.size(found.free)}",
            "Time and disk are those of the newest earlier entry of the same step and model; views and gates take seconds.",
        ]
    )
