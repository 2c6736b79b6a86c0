"""`gc`: what no named configuration reaches is removed from the store, with what killed jobs left there.

Gates are asked of the entries behind them, so that configurations count which were not the last to run here.
"""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mindgauge import disk, lease, withdrawing
from mindgauge.config import Settings
from mindgauge.errors import UserError
from mindgauge.recipe import STAMPS, Input
from mindgauge.store import Store
from mindgauge.store_gates import NotMade, plan_of

SHOWN = 20
DAY = 86400.0


class Reach:
    """The entries that a configuration reaches: `found`, of which those in `missing` are not made. `known` is whether these are all."""

    def __init__(self, settings: Settings) -> None:
        self.plan = plan_of(settings)
        self.store = self.plan.store
        self.found: set[str] = set()
        self.missing: list[str] = []
        self.known = True
        self._seen: set[tuple[str, ...]] = set()
        self._visit("catalogue")
        for entry in dict.fromkeys((step, *names) for _, step, names, _ in self.plan.views()):
            self._visit(*entry)
        for entry in dict.fromkeys(self.plan.further().values()):
            self._visit(*entry, on_demand=True)

    def _visit(self, step: str, *names: str, on_demand: bool = False) -> None:
        """Of what is made `on_demand` nothing is missing where it was not, or cannot be."""
        if (step, *names) in self._seen:
            return
        self._seen.add((step, *names))
        try:
            recipe = self.plan.recipe(step, *names)
        except NotMade:
            self.known &= on_demand
            return
        except UserError:
            # An export is refused where a source may not be passed on, a model where its base does not lie there.
            if on_demand:
                return
            raise
        self.found.add(recipe.where)
        if not self.store.has(recipe.where) and not on_demand:
            self.missing.append(recipe.where)
        inputs: list[Input] = [*recipe.inputs.values(), *(one for of in recipe.lists.values() for one in of)]
        for source in inputs:
            if source.where is not None:
                parts = source.where.split("/")
                self._visit(parts[0], *parts[1:-1], on_demand=on_demand)


@dataclass
class Garbage:
    """What can go, with its bytes: entries by where they lie, and what else lies beside them. `kept` counts the unreached entries
    that stay, by reason."""

    entries: dict[str, int] = field(default_factory=dict)
    leftovers: dict[Path, int] = field(default_factory=dict)
    reached: int = 0
    kept: dict[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of all that can go."""
        return sum(self.entries.values()) + sum(self.leftovers.values())


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


def _younger(path: Path, days: float) -> bool:
    return time.time() - path.stat().st_mtime < days * DAY


def find(store: Store, reached: set[str], days: float) -> Garbage:
    """What no configuration reaches. What is younger than `days`, what a running job makes or reads, and the working spaces of
    reached entries stay."""
    garbage = Garbage()
    running = {name: lease.read(path) for name, path in store.leases()}
    running = {name: said for name, said in running.items() if not lease.gone(said)}
    read = {where for said in running.values() for where in said.get("reads", [])}
    for where in store.entries():
        if where in reached:
            garbage.reached += 1
            continue
        why = "read by a running job" if where in read else ""
        if not why and _younger(store.path(where), days):
            why = f"younger than {days:g} days"
        if why:
            garbage.kept[why] = garbage.kept.get(why, 0) + 1
        else:
            garbage.entries[where] = store.size(where)
    unfinished = {where.replace("/", "+") for where in reached if not store.has(where)}
    for name, path in store.leftovers():
        resumed = path.is_relative_to(store.root / ".work") and name in unfinished
        if name not in running and not resumed and not _younger(path, days):
            garbage.leftovers[path] = _size(path)
    return garbage


def remove(store: Store, garbage: Garbage) -> None:
    """Removes what was found, and the leases of jobs that are gone."""
    for where in garbage.entries:
        store.remove(where)
        (STAMPS / where).unlink(missing_ok=True)  # so that `verify` does not miss it
    withdrawing.drop_dangling()
    for path in garbage.leftovers:
        shutil.rmtree(path, ignore_errors=True)
    for _, path in store.leases():
        if lease.gone(lease.read(path)):
            path.unlink(missing_ok=True)


def collect(configurations: dict[str, Settings], days: float, apply: bool) -> str:
    """Finds what none of the configurations, by name, reaches, and removes it if that is asked; returns what there is to say.

    Raises UserError if they have stores of their own, or if something is to be removed while it is not known what one of them reaches.
    """
    reaches = {name: Reach(settings) for name, settings in configurations.items()}
    stores = {str(reach.store.root.absolute()) for reach in reaches.values()}
    if len(stores) > 1:
        raise UserError(
            "the configurations have different stores", where=", ".join(sorted(stores)), instead="one by one"
        )
    store = next(iter(reaches.values())).store
    unmade = {name: len(reach.missing) for name, reach in reaches.items() if reach.missing or not reach.known}
    if apply and unmade:
        name = next(iter(unmade))
        raise UserError(
            f"{name} is not all made, so what it needs is not all known; nothing was removed",
            where=f"config: {name}",
            instead="run it first, or leave it out if its entries may go",
        )
    garbage = find(store, set().union(*(reach.found for reach in reaches.values())), days)
    if apply:
        remove(store, garbage)
    return "\n".join(_said(garbage, unmade, apply))


def _listed(things: Iterable[tuple[str, int]]) -> list[str]:
    largest = sorted(things, key=lambda pair: -pair[1])
    lines = [f"  {name}: {disk.size(count)}" for name, count in largest[:SHOWN]]
    return lines + ([f"  and {len(largest) - SHOWN} smaller ones"] if len(largest) > SHOWN else [])


def _said(garbage: Garbage, unmade: dict[str, int], apply: bool) -> list[str]:
    lines = [f"reached: {garbage.reached} entries stay"]
    lines += [f"unreached, {why}: {count} entries stay" for why, count in garbage.kept.items()]
    lines.append(f"unreached: {len(garbage.entries)} entries, {disk.size(sum(garbage.entries.values()))}")
    lines += _listed(garbage.entries.items())
    lines.append(
        f"left by killed jobs, or damaged: {len(garbage.leftovers)}, {disk.size(sum(garbage.leftovers.values()))}"
    )
    lines += [
        f"{name} is not all made: what it would make of other entries than its own is counted as unreached; run it first"
        for name in unmade
    ]
    done = "removed" if apply else "nothing was removed; APPLY=1 (--apply) removes it"
    return [*lines, f"{disk.size(garbage.bytes)} in all: {done}"]
