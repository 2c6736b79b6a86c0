"""`verify`: hashes every artifact of this clone again and says what differs."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.files import read_json
from mindgauge.linking import opened
from mindgauge.plan import GATES
from mindgauge.progress import Progress
from mindgauge.recipe import STAMPS, recipe_file
from mindgauge.store import Store, read_sealed


@dataclass
class Findings:
    """What `verify` found. Each line of `wrong` says what, where, and what to ask Snakemake for."""

    entries: int = 0
    files: int = 0
    wrong: list[str] = field(default_factory=list)


def _entry(stamp: Path) -> tuple[int, list[str]]:
    """How many files were hashed, and what is wrong with the entry of one stamp. A damaged entry is set aside."""
    try:
        store, where = opened(stamp)
    except (UserError, FileNotFoundError):
        return 0, [f"missing: {stamp.relative_to(STAMPS)}; ask for it: {stamp}"]
    found = store.verify(where, anew=True)
    if found:
        store.set_aside(where)
        stamp.unlink(missing_ok=True)
        return 0, [f"damaged and set aside: {where}: {'; '.join(found)}; ask for it: {stamp}"]
    return len(store.manifest(where)["files"]), []


def _gate(gate: Path) -> list[str]:
    """What is wrong with a gate: it must say of its entry what the entry's manifest says."""
    try:
        said = read_sealed(gate)
    except UserError:
        return [f"gate was changed: {gate}; ask for it: {gate}"]
    if "where" not in said:  # the gate of a raw source; its files are looked at whenever Snakemake starts
        return []
    file = recipe_file(STAMPS / said["where"])
    if not file.is_file():
        return [f"gate without a recipe: {gate}; ask for it: {gate}"]
    held = read_json(file)["store"]
    store = Store(Path(held["path"]), group=held["group"])
    if not store.has(said["where"]):
        return [f"gate of a missing entry: {gate}; ask for it: {STAMPS / said['where']}"]
    try:
        manifest = store.manifest(said["where"])
    except UserError:
        return [f"gate of a damaged entry: {gate}; ask for it: {STAMPS / said['where']}"]
    if {"files": manifest["files"], "facts": manifest["facts"]} != {"files": said["files"], "facts": said["facts"]}:
        return [f"gate differs from its entry: {gate}; ask for it: {gate}"]
    return []


def _behind(stamp: Path) -> list[str]:
    """What a whole entry was made from and is gone. What counted by content may lie elsewhere now."""
    store, where = opened(stamp)
    manifest = store.manifest(where)
    recipe = manifest["recipe"]
    keys = {*recipe["inputs"].values(), *(key for of in recipe["lists"].values() for key in of)}
    return [
        f"missing: {read}; ask for it: {STAMPS / read}"
        for read, _ in manifest.get("reads", [])
        if read.rpartition("/")[2] in keys and not store.has(read)
    ]


def _view(path: Path, listed: dict[str, str | None]) -> list[str]:
    """What is wrong with a file below results/: a link must lead somewhere, a view must be a link, and lead to its own file."""
    if path.is_symlink():
        if not path.exists():
            return [f"view of a missing file: {path}; ask for it: {path}"]
        shown = listed.get(path.as_posix())
        if shown and not re.search(shown, path.resolve().as_posix()):
            return [f"view of another file: {path}; take it away and ask for it: {path}"]
        return []
    return [f"view is no link to the store: {path}; ask for it: {path}"] if path.as_posix() in listed else []


def _listed(results: Path) -> dict[str, str | None]:
    """The views that results/manifest.json lists, with itself, and what the end of the place fits that each leads to: step, names
    and file are a view's own, the key is not, for a run of a part of the steps shows newer entries than the manifest lists."""
    found: dict[str, str | None] = {(results / "manifest.json").as_posix(): None}
    try:
        for view, of in read_json(results / "manifest.json")["views"].items():
            step = of.get("entry", "").rpartition("/")[0]
            shown = rf"/{re.escape(step)}/[^/]+/{re.escape(of['file'])}$" if step else None
            found[(results / view).as_posix()] = shown
    except (OSError, UserError, KeyError, TypeError, AttributeError):
        pass
    return found


def verify(results: Path, threads: int) -> Findings:
    """Hashes all entries that this clone has stamped, and checks its gates and views against them."""
    findings = Findings()
    # A stamp that leads to another is of the same entry.
    stamps = sorted(path for path in STAMPS.rglob("*") if path.is_file() and not path.is_symlink())
    whole = []
    with ThreadPoolExecutor(threads) as pool:  # hashlib lets go of the interpreter lock
        looked = Progress(pool.map(_entry, stamps), total=len(stamps), what="entries")
        for stamp, (files, wrong) in zip(stamps, looked, strict=True):
            whole += [] if wrong else [stamp]
            findings.entries += 1
            findings.files += files
            findings.wrong += wrong
    findings.wrong += dict.fromkeys(line for stamp in whole for line in _behind(stamp) if line not in findings.wrong)
    for gate in sorted(GATES.rglob("*.json")):
        findings.wrong += _gate(gate)
    listed = _listed(results)
    for directory, inside, names in os.walk(results):
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in sorted(names):
            findings.wrong += _view(Path(directory, name), listed)
    return findings
