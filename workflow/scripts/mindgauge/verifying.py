"""`verify`: hashes every artifact of this clone again and says what differs."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.files import read_json
from mindgauge.linking import opened
from mindgauge.plan import GATES
from mindgauge.progress import Progress
from mindgauge.recipe import STAMPS, recipe_file
from mindgauge.store import Store


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
    said = read_json(gate)
    if "where" not in said:  # the gate of a raw source; its files are looked at whenever Snakemake starts
        return []
    file = recipe_file(STAMPS / said["where"])
    if not file.is_file():
        return [f"gate without a recipe: {gate}; remove it"]
    held = read_json(file)["store"]
    store = Store(Path(held["path"]), group=held["group"])
    if not store.has(said["where"]):
        return [f"gate of a missing entry: {gate}; ask for it: {STAMPS / said['where']}"]
    manifest = store.manifest(said["where"])
    if {"files": manifest["files"], "facts": manifest["facts"]} != {"files": said["files"], "facts": said["facts"]}:
        return [f"gate differs from its entry: {gate}; remove it"]
    return []


def verify(results: Path, threads: int) -> Findings:
    """Hashes all entries that this clone has stamped, and checks its gates and views against them."""
    findings = Findings()
    stamps = sorted(path for path in STAMPS.rglob("*") if path.is_file())
    with ThreadPoolExecutor(threads) as pool:  # hashlib lets go of the interpreter lock
        for files, wrong in Progress(pool.map(_entry, stamps), total=len(stamps), what="entries"):
            findings.entries += 1
            findings.files += files
            findings.wrong += wrong
    for gate in sorted(GATES.rglob("*.json")):
        findings.wrong += _gate(gate)
    for directory, _, names in os.walk(results):
        for path in (Path(directory, name) for name in names):
            if path.is_symlink() and not path.exists():
                findings.wrong.append(f"view of a missing file: {path}; ask for it: {path}")
    return findings
