"""Reading and writing files so that nothing half-written is ever taken for whole."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError

# A directory named like a file of a corpus is told: it stands where a file should be.
RAW_SUFFIXES = frozenset({".txt", ".json", ".jsonl", ".ndjson", ".csv", ".xlsx", ".parquet"})


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the name `path` when the block ends well, and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, aside and then renamed."""
    with atomic_path(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_link(path: Path, target: Path) -> None:
    """Makes `path` a link to `target`, by way of a name aside. Relative, so that a moved clone keeps its links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    aside.unlink(missing_ok=True)
    aside.symlink_to(os.path.relpath(target.resolve(), path.parent.resolve()))
    aside.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes strict JSON (no NaN) with sorted keys: the same value is the same bytes."""
    write_text(path, json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises UserError if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        # The decoder's own text may quote the file: only its position is passed on.
        line = getattr(error, "lineno", 0)
        raise UserError(
            "this file is not valid JSON", where=f"{path}:{line}", instead="remove it or put it right"
        ) from None


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Writes one JSON object a line and returns how many."""
    count = 0
    with atomic_path(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, one after another. Raises UserError naming the line that is not one."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                row = None
            if not isinstance(row, dict):
                raise UserError("this line is not a JSON object", where=f"{path}:{number}", instead="one object a line")
            yield row


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file below `root` in a fixed order, hidden ones left out, and what cannot be one, each with what is wrong (empty
    for a file). Links are followed, a loop once round. A directory whose name has a file's suffix is walked too."""
    above: set[tuple[int, int]] = set()

    def below(directory: Path) -> Iterator[tuple[Path, str]]:
        try:
            status = directory.stat()
            with os.scandir(directory) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            yield directory, f"cannot be listed ({error.strerror})"
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            yield directory, "a link back to a directory above it"
            return
        above.add(here)
        for entry in entries:
            path = directory / entry.name
            if entry.name.startswith("."):
                continue
            try:
                kind = "directory" if entry.is_dir() else "file" if entry.is_file() else "other"
            except OSError:  # a link to itself
                kind = "other"
            if kind == "file":
                yield path, ""
            elif kind == "other":
                yield path, "a link that leads nowhere, or no file at all"
            else:
                if path.suffix in RAW_SUFFIXES:
                    yield path, "a directory where a file should be"
                yield from below(path)
        above.discard(here)

    yield from below(root)


def files_below(directory: Path) -> list[Path]:
    """Every file below `directory`, in a fixed order."""
    return sorted(path for path in directory.rglob("*") if path.is_file())
