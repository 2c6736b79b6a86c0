"""Leases: one job at a time makes an entry and works in its working space.

The driver of a run can be killed while its jobs go on; the next run starts the same jobs again, and two trainers would write over each
other's checkpoints. So a job holds a lease, a file that names it and that it writes anew every few seconds. A second job waits until
the first has made the entry, or takes the lease over when its holder is gone.

Whether it is gone the waiter judges by what it sees: the file did not change for a while by the waiter's own clock. Clocks of two hosts
are never compared, nor are dates of files, which a file server sets. On the holder's own machine a dead process is told at once.
Files are created exclusively and renamed, which network file systems do in one step; locks (flock) are not used, since Lustre is often
mounted without them and NFS may keep them to one host.
"""

import contextlib
import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge.progress import span, tell

# Seconds between two heartbeats; without one for how long a holder is gone; between two looks; between two words of waiting.
BEAT, PATIENCE, LOOK, TOLD = 15.0, 120.0, 1.0, 300.0


def _machine() -> str:
    """Names this boot of this machine and the namespace of its process numbers: containers of one host share none."""
    parts = [os.uname().nodename]
    with contextlib.suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def _started(number: int) -> str:
    """When a process started, in the machine's ticks, as its number may be given again; empty where that cannot be read, and of one
    that has ended and that its parent has not asked about yet."""
    try:
        of = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if of[0] == "Z" else of[19]


def read(path: Path) -> dict[str, Any]:
    """What a lease says: `host`, `pid`, `since` (for people), `machine`, `started`, `reads` and `beat`. Empty if there is none, or
    none is written yet."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def gone(holder: dict[str, Any]) -> bool:
    """Did the holder run on this machine, and runs no more? Of another machine that is not known."""
    if holder.get("machine") != _machine():
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is there, and another user's
        return False
    return bool(holder["started"]) and _started(holder["pid"]) != holder["started"]


class _Heart(threading.Thread):
    """Writes the lease anew as long as the job lives, and ends the job at once if the lease was taken over: after a pause that
    others took for its end (a laptop that slept, a file system that hung) the working space is another's."""

    def __init__(self, path: Path, file: int, said: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.path, self.file, self.said, self.beat = path, file, said, 0
        self.stopped = threading.Event()
        self.write()

    def write(self) -> None:
        """Writes over the file that was opened: if another lies at the path meanwhile, that one is not touched."""
        text = json.dumps({**self.said, "beat": f"{self.beat:012d}"})
        os.pwrite(self.file, text.encode(), 0)
        os.fsync(self.file)

    def mine(self) -> bool:
        """Is the file at the path the one that was opened?"""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self.file))
        except FileNotFoundError:
            return False
        except OSError as error:
            return error.errno != errno.ESTALE

    def run(self) -> None:
        while not self.stopped.wait(BEAT):
            self.beat += 1
            # A full disk or a file system that is away is no reason to give up.
            with contextlib.suppress(OSError):
                self.write()
            # Who took a newer lease for a stale one puts it back.
            if not self.mine() and not self.stopped.wait(LOOK) and not self.mine():
                tell(
                    "mindgauge: another job took over this one's working space, since it was silent for long; it ends here"
                )
                os._exit(1)

    def stop(self) -> None:
        """Ends it, and gives the lease back."""
        self.stopped.set()
        self.join()
        if self.mine():
            self.path.unlink(missing_ok=True)
        os.close(self.file)


def _take_away(path: Path, judged: bytes) -> None:
    """Removes a stale lease, unless it is not the one that was judged any more."""
    away = path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.stale")
    try:
        path.rename(away)
    except FileNotFoundError:  # another was faster
        return
    if away.read_bytes() != judged:
        with contextlib.suppress(OSError):
            os.link(away, path)
    away.unlink()


def _opened(path: Path) -> int:
    """The lease's file, created by this process, once nobody else holds it."""
    seen, since, told = b"", time.monotonic(), 0.0
    while True:
        with contextlib.suppress(FileExistsError):
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o660)
        try:
            now = path.read_bytes()
        except FileNotFoundError:
            continue
        if now != seen:
            seen, since = now, time.monotonic()
        holder = read(path)
        name = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}, since {holder.get('since', '?')}"
        silent = time.monotonic() - since
        if gone(holder) or silent > PATIENCE:
            tell(f"a job that made this entry before is gone ({name}); this one goes on from what it left")
            _take_away(path, now)
            continue
        if not told or time.monotonic() - told > TOLD:
            told = time.monotonic()
            tell(
                f"another job makes this entry ({name}); this one waits for it, or until it is silent for {span(PATIENCE)}"
            )
        time.sleep(LOOK)


@contextlib.contextmanager
def held(path: Path, reads: list[str]) -> Iterator[None]:
    """Holds the lease `path` while the block runs. `reads` names the entries that the job reads, so that nobody removes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _opened(path)
    said = {
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "machine": _machine(),
        "started": _started(os.getpid()),
        "reads": reads,
    }
    try:
        heart = _Heart(path, file, said)
    except OSError:
        path.unlink(missing_ok=True)
        os.close(file)
        raise
    heart.start()
    try:
        yield
    finally:
        heart.stop()
