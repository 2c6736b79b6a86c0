"""Does a file system do what the store needs: small files, synced; renames that happen or do not; links; room."""

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from mindgauge import disk
from mindgauge.errors import UserError
from mindgauge.findings import Finding, failure, ok, refused, warning
from mindgauge.store import Store

ROUNDS = 20
# A plan looks at thousands of small files: with more than this for each it takes minutes.
SLOW = 0.05


def existing(path: Path) -> Path:
    """The directory itself, or the nearest above it that is there."""
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def latency(place: Path, rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds, the median of `rounds`, of writing 4 KiB, fsync, rename and reading again, in a directory made in `place` and removed
    afterwards. Raises OSError."""
    taken: dict[str, list[float]] = {"write": [], "fsync": [], "rename": [], "read": []}
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as directory:
        for number in range(rounds):
            aside, path = Path(directory, f"{number}.part"), Path(directory, str(number))
            times = [time.perf_counter()]
            with aside.open("wb") as file:
                file.write(bytes(4096))
                file.flush()
                times.append(time.perf_counter())
                os.fsync(file.fileno())
            times.append(time.perf_counter())
            aside.rename(path)
            times.append(time.perf_counter())
            path.read_bytes()
            times.append(time.perf_counter())
            for name, (start, end) in zip(taken, pairwise(times), strict=True):
                taken[name].append(end - start)
    return {name: statistics.median(of) for name, of in taken.items()}


def check_latency(about: str, directory: Path) -> Iterator[Finding]:
    """Are small files quick enough there?"""
    place = existing(directory)
    try:
        taken = latency(place)
    except OSError as error:
        yield failure(
            about, f"{place} cannot be written ({error.strerror})", f"chmod u+rwx {place}, or another directory"
        )
        return
    said = ", ".join(f"{name} {1000 * of:.1f} ms" for name, of in taken.items())
    if sum(taken.values()) > SLOW:
        yield warning(
            about,
            f"{place}: {said} a small file",
            "a faster file system for it (`store:` in the config, or MINDGAUGE_STORE), or patience while it plans",
        )
    else:
        yield ok(about, said)


def check_renames(store: Store) -> Iterator[Finding]:
    """Is a directory's rename there refused where the name is taken, so that of two writers one wins, and do links work?"""
    about, place = "store: rename and links", existing(store.root)
    if not os.access(place, os.W_OK | os.X_OK):
        return  # check_latency says so
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as directory:
        first, second, done = (Path(directory, name) for name in ("first", "second", "done"))
        for path in (first, second):
            path.mkdir()
            (path / "manifest.json").write_text(path.name)
        first.rename(done)
        with contextlib.suppress(OSError):
            second.rename(done)
        if (done / "manifest.json").read_text() != "first":
            yield failure(
                about,
                "a rename replaced a directory that was there",
                "another file system for the store (MINDGAUGE_STORE)",
            )
            return
        try:
            Path(directory, "link").symlink_to(done / "manifest.json")
        except OSError as error:
            yield failure(
                about,
                f"no symbolic links there ({error.strerror})",
                "a file system that has them: views are such links",
            )
            return
        try:
            os.link(done / "manifest.json", Path(directory, "hard"))
        except OSError as error:
            yield warning(about, f"no hard links there ({error.strerror})", "nothing: copies take their place")
            return
    yield ok(about, "the first of two writers wins; links work")


def check_store(store: Store) -> Iterator[Finding]:
    """May the store be used: private, or the group's, and writable?"""
    about = "store: permissions"
    if not store.root.exists():
        place = existing(store.root)
        if os.access(place, os.W_OK | os.X_OK):
            yield ok(about, f"{store.root} will be made, {'2770' if store.group else '0700'}")
        else:
            yield failure(about, f"{store.root} cannot be made in {place}", f"chmod u+wx {place}, or MINDGAUGE_STORE")
        return
    try:
        store.open()
    except UserError as error:
        yield refused(about, error)
        return
    if not os.access(store.root, os.W_OK | os.X_OK):
        yield failure(
            about, f"you cannot write to {store.root}", f"chmod u+rwx {store.root}, or ask its owner for group rights"
        )
        return
    yield ok(about, f"{store.root} is the {'group' if store.group else 'owner'}'s alone")


def check_private(results: Path, *, group: bool) -> Iterator[Finding]:
    """Can others enter the results, which link to what people wrote?"""
    if results.is_dir() and results.stat().st_mode & (0o007 if group else 0o077):
        yield warning(
            "results: permissions",
            f"{results} can be entered by others (mode {results.stat().st_mode & 0o777:04o}); runs make it private, this one is older",
            f"chmod -R {'o-rwx' if group else 'go-rwx'} {results}",
        )


def check_room(place: Path, known: list[int | None]) -> Iterator[Finding]:
    """Is there room for what a run would write? `known` holds the bytes of each entry, None where none of its kind was made before."""
    about, free = "disk", shutil.disk_usage(existing(place)).free
    need = sum(of for of in known if of is not None)
    unknown = sum(of is None for of in known)
    said = f"{disk.size(free)} free, about {disk.size(need)} needed"
    said += f" and {unknown} of {len(known)} jobs of unknown size" if unknown else ""
    if free < need + disk.SPARE:
        yield failure(about, said, disk.INSTEAD)
    elif unknown or free < 1.5 * need:
        yield warning(
            about,
            said,
            "room for each model of about five times its base (merged, f16, quants), and as much for checkpoints",
        )
    else:
        yield ok(about, said)
