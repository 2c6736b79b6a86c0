"""The store: immutable entries named by the key of all that decided them.

An entry is a directory `<store>/<step>/<names…>/<key>/` with a manifest.json; it is written aside and renamed, so it is whole
or not there. `where` is its path below the store. Working space lies beside it under `.work/` and the same key, and who works there
holds its lease under `.leases/`.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json, sha256_file, write_json
from mindgauge.hashing import KEY_DIGITS, digest

MANIFEST = "manifest.json"


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Writes plain data with the hash of it, `seal`, so that a change by hand or by a disk is seen."""
    write_json(path, {**value, "seal": digest(value)})


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote, without its seal. Raises UserError if it is anything else."""
    found = read_json(path)
    seal = found.pop("seal", None) if isinstance(found, dict) else None
    if seal is None or digest(found) != seal:
        raise UserError(
            "this file was changed after it was written",
            where=str(path),
            instead="make verify, which says what makes it anew",
        )
    return dict(found)


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
        return os.path.isfile(f"{self.root}/{where}/{MANIFEST}")

    def manifest(self, where: str) -> dict[str, Any]:
        """What an entry holds: `files` (name -> sha256, size), `content` (one hash of all files), `recipe`, `facts`, and what it
        `reads`: entries, and the files of each that count (null: all). Raises UserError if it was changed."""
        path = self.root / where / MANIFEST
        found = read_json(path)
        # Entries made before there were seals have neither that nor `reads`.
        return found if isinstance(found, dict) and not {"seal", "reads"} & found.keys() else read_sealed(path)

    def entries(self) -> Iterator[str]:
        """Where every entry lies, in a fixed order."""
        for directory, inside, files in os.walk(self.root):
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            if MANIFEST in files:
                inside.clear()
                yield Path(directory).relative_to(self.root).as_posix()

    def size(self, where: str) -> int:
        """Bytes of an entry's files."""
        return sum(path.stat().st_size for path in files_below(self.root / where))

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

    def lease(self, where: str) -> Path:
        """The file of the lease that is held while an entry is made."""
        return self.root / ".leases" / f"{where.replace('/', '+')}.json"

    def aside(self, where: str) -> Path:
        """An empty directory of this process in which an entry is made. Its lease is held: what jobs that were killed left of the
        same entry is removed."""
        name = where.replace("/", "+")
        for left in (self.root / ".aside").glob(f"{name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        path = self.root / ".aside" / f"{name}.{os.uname().nodename}.{os.getpid()}"
        path.mkdir(parents=True)
        return path

    def put(
        self,
        where: str,
        aside: Path,
        recipe: dict[str, Any],
        facts: dict[str, Any],
        reads: Sequence[tuple[str, list[str] | None]] = (),
    ) -> None:
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
        said = {"where": where, "files": files, "content": digest(files), "recipe": recipe, "facts": facts}
        write_sealed(aside / MANIFEST, {**said, "reads": [list(pair) for pair in reads]})
        done = self.root / where
        done.parent.mkdir(parents=True, exist_ok=True)
        if done.is_dir() and not self.has(where):  # what a purged scratch leaves, or a removal that was cut off
            self.set_aside(where)
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
        try:
            files = self.manifest(where)["files"]
        except UserError:
            return ["manifest.json was changed"]
        known = {} if anew else self._remembered(where)
        wrong, seen = [], {}
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
        place = self.root / ".damaged" / f"{where.replace('/', '+')}.{os.uname().nodename}.{os.getpid()}"
        place.parent.mkdir(exist_ok=True)
        (self.root / where).rename(place)
        return place

    def remove(self, where: str) -> None:
        """Removes an entry, and what is remembered of it; whoever reads meanwhile finds it whole or not at all."""
        away = self.root / ".aside" / f"{where.replace('/', '+')}.removed.{os.getpid()}"
        away.parent.mkdir(exist_ok=True)
        (self.root / where).rename(away)
        shutil.rmtree(away)
        self._memory(where).unlink(missing_ok=True)

    def leftovers(self) -> Iterator[tuple[str, Path]]:
        """What lies beside the entries, each with the name of its entry (`step+names+key`): working spaces, what killed jobs left
        aside, and damaged entries."""
        for directory, inside, _ in os.walk(self.root / ".work"):
            for name in [name for name in inside if re.fullmatch(f"[0-9a-f]{{{KEY_DIGITS}}}", name)]:
                inside.remove(name)
                path = Path(directory, name)
                yield path.relative_to(self.root / ".work").as_posix().replace("/", "+"), path
        for kind in (".aside", ".damaged"):
            for path in sorted((self.root / kind).glob("*")):
                match = re.match(rf".*\+[0-9a-f]{{{KEY_DIGITS}}}(?=\.)", path.name)
                yield match[0] if match else path.name, path

    def leases(self) -> Iterator[tuple[str, Path]]:
        """The leases, each with the name of its entry (`step+names+key`)."""
        for path in sorted((self.root / ".leases").glob("*.json")):
            yield path.stem, path

    def _memory(self, where: str) -> Path:
        return self.root / ".verified" / f"{where}.json"

    def _remembered(self, where: str) -> dict[str, Any]:
        path = self._memory(where)
        return read_json(path) if path.is_file() else {}

    def _remember(self, where: str, seen: dict[str, list[int]]) -> None:
        write_json(self._memory(where), seen)
