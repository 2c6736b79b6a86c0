"""`forget`: a person withdrew a record. What holds it is removed from the store, and the record stays out of later runs.

An entry holds it if its files name it, or if it was made from files that do: from training on, nobody can say what a model kept. Which
files of which entries an entry was made from, its manifest tells.
"""

import json
import mmap
import shutil
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgauge import lease, withdrawals, withdrawing
from mindgauge.errors import UserError
from mindgauge.files import write_text
from mindgauge.parallel import over_batches
from mindgauge.progress import Progress
from mindgauge.recipe import STAMPS
from mindgauge.records import from_line, identifier
from mindgauge.store import Store
from mindgauge.unifying import unify_record

# Steps whose files name every record they hold; of what others make, all counts as holding what it was made from.
NAMING = ("unify", "minimise", "split", "label", "merge_labels", "make_sft", "export")
# What is made of a hub's files holds no record of ours.
FOREIGN = ("base",)


@dataclass
class Held:
    """Where withdrawn records are held. `entries`: where those lie that go. `raw`: source and key of the records as they were read,
    `raw_ids` their ids there. `answers`: files of single answers. `spaces`: working spaces, and what was left aside or is damaged.
    `edited`: what a person put in a view's place, which is theirs."""

    entries: list[str] = field(default_factory=list)
    raw: list[tuple[str, str]] = field(default_factory=list)
    raw_ids: set[str] = field(default_factory=set)
    answers: list[Path] = field(default_factory=list)
    spaces: list[Path] = field(default_factory=list)
    edited: list[Path] = field(default_factory=list)

    def models(self, step: str) -> list[str]:
        """The models with an entry of a step among those that go."""
        return sorted({where.split("/")[1] for where in self.entries if where.startswith(f"{step}/")})


def _names(path: Path, ids: Set[str]) -> bool:
    """Does a file name one of the records?"""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return any(held.find(one.encode()) >= 0 for one in ids)


def _read_ids(lines: list[bytes]) -> list[tuple[str, str, str, str, str | None]]:
    """Of records as they were read: source, key, id of the words there, id of the common form, and the id they name."""
    found = []
    for line in lines:
        record = from_line(line, "records.jsonl")
        named, there = record.id, identifier(record)
        found.append((record.source, record.key, there, unify_record(record).id, named))
    return found


class _Search:
    """Which files of which entries hold some records."""

    def __init__(self, store: Store, ids: Set[str], threads: int) -> None:
        self.store, self.ids, self.threads = store, ids, threads
        self.held = Held()
        self._dirty: dict[str, frozenset[str]] = {}
        self.manifests = {where: store.manifest(where) for where in store.entries()}

    def run(self) -> Held:
        """Looks through all entries."""
        for where in Progress(sorted(self.manifests), what="entries"):
            if self.dirty(where) or self._made_from(where):
                self.held.entries.append(where)
        self.held.answers = [
            path for path in sorted((self.store.root / ".answers").glob("*/*.jsonl")) if _names(path, self.ids)
        ]
        self.held.spaces = [path for _, path in self.store.leftovers() if not self._foreign(path)]
        self.held.edited = [path for path in withdrawing.edited() if _names(path, self.ids)]
        self.held.raw = sorted(set(self.held.raw))
        return self.held

    def _foreign(self, path: Path) -> bool:
        below = path.relative_to(self.store.root).parts
        return below[1].split("+")[0] in FOREIGN

    def dirty(self, where: str) -> frozenset[str]:
        """The files of an entry that hold a record."""
        if where not in self._dirty:
            self._dirty[where] = frozenset(self._files(where))
        return self._dirty[where]

    def _files(self, where: str) -> Iterator[str]:
        step, manifest = where.split("/")[0], self.manifests[where]
        if step in FOREIGN:
            return
        if step == "ingest":
            if self._as_read(self.store.path(where) / "records.jsonl"):
                yield "records.jsonl"
        elif step in NAMING:
            yield from (name for name in manifest["files"] if _names(self.store.path(where) / name, self.ids))
        elif self._made_from(where):
            yield from manifest["files"]

    def _as_read(self, path: Path) -> bool:
        """Notes the records of a file as it was read in that are, or will be, one of those that are sought."""
        found = False
        with path.open("rb") as lines:
            for source, key, there, common, named in over_batches(_read_ids, lines, self.threads):
                if self.ids & {there, common, named}:
                    self.held.raw.append((source, key))
                    self.held.raw_ids.add(there)
                    found = True
        return found

    def _made_from(self, where: str) -> bool:
        """Was an entry made from files that hold a record? Where that is not told, or the entry is gone, it may have been."""
        step, manifest = where.split("/")[0], self.manifests[where]
        if step in FOREIGN:
            return False
        if "reads" not in manifest:  # made before entries told it
            return step != "ingest"
        if (buckets := manifest["recipe"]["params"].get("buckets")) is not None and not any(
            one[:2] in buckets for one in self.ids
        ):
            return False
        for read, files in manifest["reads"]:
            if read not in self.manifests:
                if read.split("/")[0] not in FOREIGN:
                    return True
            elif self.dirty(read) & frozenset(self.manifests[read]["files"] if files is None else files):
                return True
        return False


def find(store: Store, ids: Set[str], threads: int) -> Held:
    """Where records are held, by their ids as in unified.jsonl. Raises UserError for a damaged manifest."""
    return _Search(store, ids, threads).run()


def _without(path: Path, ids: Set[str]) -> None:
    """Takes the answers about some records out of a file of answers."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            row: Any = json.loads(line)
        except ValueError:
            continue
        if row.get("id") not in ids:
            kept.append(line)
    write_text(path, "".join(kept))


def remove(store: Store, held: Held, ids: Set[str]) -> None:
    """Removes what holds the records; last of all the entries as they were read, by which the others would be found again."""
    for path in held.answers:
        _without(path, ids)
    for path in held.spaces:
        shutil.rmtree(path)
    for where in sorted(held.entries, key=lambda where: where.startswith("ingest/")):
        store.remove(where)
        (STAMPS / where).unlink(missing_ok=True)  # so that `verify` does not miss it
    withdrawing.drop_dangling()


def forget(store: Store, listed: Path, ids: Set[str], threads: int, apply: bool) -> str:
    """Finds what holds the records, and if that is asked puts them on the list `listed` and removes it; returns what there is to
    say, without a word of them. Raises UserError if something is to be removed while jobs work in the store."""
    working = [said for _, path in store.leases() if not lease.gone(said := lease.read(path))]
    if apply and working:
        raise UserError(
            f"{len(working)} jobs work in this store, and may write again what is removed; nothing was removed",
            where=", ".join(sorted({f"process {said.get('pid', '?')} on {said.get('host', '?')}" for said in working})),
            instead="stop the run, or wait for its end",
        )
    held = find(store, ids, threads)
    if apply:
        withdrawals.add(listed, ids | held.raw_ids)
        remove(store, held, ids)
    return "\n".join(_said(held, listed, apply))


def _said(held: Held, listed: Path, apply: bool) -> list[str]:
    steps: dict[str, int] = {}
    for where in held.entries:
        steps[where.split("/")[0]] = steps.get(where.split("/")[0], 0) + 1
    trained = held.models("train")
    judged = [model for model in held.models("evaluate") if model not in trained]
    lines = [
        f"entries that hold it, or were made from what does: {len(held.entries)}"
        + (f" ({', '.join(f'{step} {count}' for step, count in sorted(steps.items()))})" if steps else ""),
        f"models trained on it: {', '.join(trained) or 'none'}",
        f"models evaluated on it: {', '.join(judged) or 'none'}",
        f"files of answers that name it: {len(held.answers)}; working spaces, and what killed jobs left: {len(held.spaces)}",
    ]
    lines += [f"the raw files still hold it: source {source}, record {key}" for source, key in held.raw]
    lines += [f"a copy that was edited names it, and is yours to remove: {path}" for path in held.edited]
    lines.append(
        "copies elsewhere are yours to remove: raw files, label files, exported data, bundles passed on, backups, other stores"
    )
    done = (
        f"removed; {listed} keeps it out of later runs"
        if apply
        else "nothing was removed; APPLY=1 (--apply) removes it"
    )
    return [*lines, done]
