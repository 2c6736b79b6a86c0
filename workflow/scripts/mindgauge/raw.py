"""Raw files enter by content. Hashing them is a job's work; the main process only looks whether they are as they were.

`results/.raw/<name>.json` remembers each file's size, inode, mtime, ctime and sha256, and the token under which the whole was
hashed. While the content is confirmed the token stays, so a changed date runs nothing; a changed byte with an old date is seen.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.files import read_json, sha256_file, walk, write_json
from mindgauge.hashing import KEY_DIGITS, digest
from mindgauge.progress import Progress
from mindgauge.store import fingerprint, write_sealed

RAW = Path("results/.raw")
# Files whose dates alone changed are hashed on the spot up to this many bytes; beyond it a job does it.
ON_THE_SPOT = 256 * 2**20


def listing(path: Path) -> dict[str, list[int]]:
    """The files of a raw source (one file or a tree; hidden ones left out), with their fingerprints."""
    if path.is_file():
        return {path.name: fingerprint(path)}
    return {file.relative_to(path).as_posix(): fingerprint(file) for file, wrong in walk(path) if not wrong}


def _memory(name: str) -> dict[str, Any]:
    file = RAW / f"{name}.json"
    return read_json(file) if file.is_file() else {"token": None, "sha256": None, "files": {}}


def _hashed(path: Path, now: dict[str, list[int]], known: dict[str, Any], quiet: bool) -> dict[str, Any]:
    """name -> [fingerprint, sha256], reading only what is not known."""
    names = list(now) if quiet else Progress(list(now), what="raw files")
    result = {}
    for name in names:
        old = known.get(name)
        file = path if path.is_file() else path / name
        try:
            result[name] = old if old and old[0] == now[name] else [now[name], sha256_file(file)]
        except OSError as error:
            raise UserError(
                f"a raw file cannot be read ({error.strerror})",
                where=str(file),
                instead=f"chmod u+r {file}, or take it out",
            ) from None
    return result


def _whole(files: dict[str, Any]) -> str:
    return digest({name: sha for name, (_, sha) in files.items()})


def known(name: str, token: str) -> bool:
    """Is this token file the one under which the raw files were hashed last?"""
    return Path(token).stem == _memory(name)["token"]


def remembered(name: str, token: str) -> str | None:
    """The hash of the raw files as they were hashed last under this token file; None if that was another."""
    memory = _memory(name)
    return str(memory["sha256"]) if Path(token).stem == memory["token"] else None


def content_of(path: Path) -> str:
    """The hash of a file or tree as gates tell it, computed anew."""
    return _whole(_hashed(path, listing(path), {}, quiet=True))


def token_file(name: str, path: Path, key: str, check: Callable[[], None], *, main: bool) -> str:
    """The file that stands for the content of a raw source in the DAG. `check` is called where the content is not known
    from before; it raises UserError if the files are not what they should be.

    Raises UserError if there is no file.
    """
    if not path.exists():
        raise UserError(
            f"the raw files of {name} are not there",
            where=f"{key}: {path}",
            instead=f"put them at {path} (data/README.md says where to get them), or take {key.rpartition('.')[0]} out of the config",
        )
    now = listing(path)
    if not now:
        raise UserError(
            f"the raw directory of {name} is empty",
            where=f"{key}: {path}",
            instead=f"put the raw files into {path} (data/README.md says where to get them), or take {key.rpartition('.')[0]} out of the config",
        )
    memory = _memory(name)
    known = memory["files"]
    unsure = [file for file in now if known.get(file, [None])[0] != now[file]]
    if known and now.keys() == known.keys() and sum(now[file][0] for file in unsure) <= ON_THE_SPOT:
        files = _hashed(path, now, known, quiet=True) if unsure else known
        if unsure and main:  # so that neither the next look nor the job hashes them again
            write_json(RAW / f"{name}.json", {**memory, "files": files})
        if _whole(files) == memory["sha256"]:
            return str(RAW / name / f"{memory['token']}.json")
    file = RAW / name / f"{digest(now)[:KEY_DIGITS]}.json"
    if main and not file.is_file():
        check()
        write_json(file, {"name": name, "path": str(path)})
    return str(file)


def hash_source(token: Path, gate: Path) -> None:
    """What the job does: hashes the files, remembers them, and writes the gate `{"sha256", "files", "bytes"}`."""
    asked = read_json(token)
    path = Path(asked["path"])
    now = listing(path)
    files = _hashed(path, now, _memory(asked["name"])["files"], quiet=False)
    whole = _whole(files)
    write_json(RAW / f"{asked['name']}.json", {"token": token.stem, "sha256": whole, "files": files})
    write_sealed(gate, {"sha256": whole, "files": len(files), "bytes": sum(found[0] for found in now.values())})
