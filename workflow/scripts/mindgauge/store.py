"""The store: immutable entries named by the key of all that decided them.

An entry is a directory `<store>/<step>/<names…>/<key>/` with a manifest.json; it is written aside and renamed, so it is whole
or not there. `where` is its path below the store. Working space lies beside it under `.work/` and the same key.
"""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json, sha256_file, write_json

MANIFEST = "manifest.json"
KEY_DIGITS = 20


def digest(value: Any) -> str:
    """The sha256, 64 hex digits, of plain data in canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(path: Path) -> list[int]:
    """Size, inode, mtime and ctime: if they are as before, so are the bytes. ctime catches an old date put back by hand."""
    found = path.stat()
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


class Store:
    """The entries below `root`. `group` opens it to the owner's group (2770) instead of the owner alone (0700)."""

    def __init__(self, root: Path, *, group: bool = False) -> None:
        self.root, self.group = root, group

    def open(self) -> None:
        """Makes the directory, private. Raises UserError if it is there and others can enter it."""
        wanted = 0o2770 if self.group else 0o700
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(wanted)
        mode = stat.S_IMODE(self.root.stat().st_mode)
        if mode & (0o007 if self.group else 0o077):
            raise UserError(
                f"the store can be entered by others (mode {mode:04o}); it holds what people in distress wrote",
                where=f"config: store ({self.root})",
                instead=f"chmod {wanted:o} {self.root}"
                + ("" if self.group else "   (or store_group: true, to share it with your group)"),
            )

    def path(self, where: str) -> Path:
        """The directory of an entry, there or not."""
        return self.root / where

    def has(self, where: str) -> bool:
        """Is the entry there?"""
        return (self.root / where / MANIFEST).is_file()

    def manifest(self, where: str) -> dict[str, Any]:
        """What an entry holds: `files` (name -> sha256, size), `content` (one hash of all files), `recipe`, `facts`."""
        return read_json(self.root / where / MANIFEST)

    def work(self, where: str) -> Path:
        """Working space of an entry: it outlives a killed job, so that a retry resumes."""
        path = self.root / ".work" / where
        path.mkdir(parents=True, exist_ok=True)
        return path

    def answers(self, key: str) -> Path:
        """Where what was found of single records is kept, for all entries that would find the same."""
        path = self.root / ".answers" / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    def aside(self, where: str) -> Path:
        """An empty directory of this process in which an entry is made."""
        path = self.root / ".aside" / f"{where.replace('/', '+')}.{os.uname().nodename}.{os.getpid()}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def put(self, where: str, aside: Path, recipe: dict[str, Any], facts: dict[str, Any]) -> None:
        """Makes the directory `aside` the entry `where`. Of two writers the first wins; the other's is discarded."""
        files = {}
        for path in files_below(aside):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.chmod(0o440 if self.group else 0o400)
            files[path.relative_to(aside).as_posix()] = {"sha256": sha256_file(path), "size": path.stat().st_size}
        if not files or MANIFEST in files:
            raise UserError(
                f"the step wrote nothing, or a {MANIFEST} of its own",
                where=where,
                instead="this is a defect of the step; please report it",
            )
        write_json(
            aside / MANIFEST,
            {"where": where, "files": files, "content": digest(files), "recipe": recipe, "facts": facts},
        )
        done = self.root / where
        done.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.rename(done)
        except OSError:
            if not self.has(where):
                raise
            shutil.rmtree(aside)
        self._remember(where, {name: fingerprint(done / name) for name in self.manifest(where)["files"]})

    def verify(self, where: str, *, anew: bool = False) -> list[str]:
        """What differs between an entry and its manifest, one line a file; empty if it is whole. Files whose size, inode
        and times are as when they were last hashed are not read again, unless `anew`."""
        entry = self.root / where
        if not self.has(where):
            return ["manifest.json is missing"]
        known = {} if anew else self._remembered(where)
        wrong, seen = [], {}
        files = self.manifest(where)["files"]
        for name, expected in files.items():
            path = entry / name
            if not path.is_file():
                wrong.append(f"{name} is missing")
                continue
            now = fingerprint(path)
            if known.get(name) != now and sha256_file(path) != expected["sha256"]:
                wrong.append(f"{name} differs from its sha256")
            seen[name] = now
        wrong += [
            f"{path.relative_to(entry).as_posix()} was added"
            for path in files_below(entry)
            if path.relative_to(entry).as_posix() not in {*files, MANIFEST}
        ]
        if not wrong and seen != known:
            self._remember(where, seen)
        return wrong

    def set_aside(self, where: str) -> Path:
        """Moves a damaged entry out of the way, so that it is made again and never served."""
        place = self.root / ".damaged" / f"{where.replace('/', '+')}.{os.getpid()}"
        place.parent.mkdir(exist_ok=True)
        (self.root / where).rename(place)
        return place

    def _memory(self, where: str) -> Path:
        return self.root / ".verified" / f"{where}.json"

    def _remembered(self, where: str) -> dict[str, Any]:
        path = self._memory(where)
        return read_json(path) if path.is_file() else {}

    def _remember(self, where: str, seen: dict[str, list[int]]) -> None:
        write_json(self._memory(where), seen)
