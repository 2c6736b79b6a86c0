"""Progress of long work: on a terminal a line that renews itself, in a log a line every few seconds."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Generic, TextIO, TypeVar

T = TypeVar("T")


# Where a line of progress also goes, if the environment names one: the terminal of `make demo`, beside each job's own log.
TERMINAL = "MINDGAUGE_PROGRESS"
job = ""


def tell(text: str) -> None:
    """A line of progress, or what went wrong: on stderr, which is a job's log, and of a job with its name on the terminal that the
    environment names."""
    print(text, file=sys.stderr, flush=True)
    if job and (name := os.environ.get(TERMINAL)):
        # A terminal that is gone must not stop the work.
        with contextlib.suppress(OSError), open(name, "a", encoding="utf-8") as terminal:
            terminal.write(f"  {job}: {text}\n")


def span(seconds: float) -> str:
    """Seconds as people read them: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress(Generic[T]):
    """Passes the items on and tells how many, how fast, and how long it will still take.

    `total` None means that it is not known; then there is no time left to tell.
    """

    def __init__(
        self, items: Iterable[T], *, total: int | None = None, what: str = "records", stream: TextIO | None = None
    ) -> None:
        self.items, self.what = items, what
        self.total = total if total is not None else (len(items) if isinstance(items, Sized) else None)
        self.stream = stream or sys.stderr
        self.pause = 0.2 if self.stream.isatty() else 5.0

    def line(self, done: int, seconds: float) -> str:
        """One line of progress after `done` items and `seconds`."""
        rate = done / seconds if seconds > 0 else 0.0
        text = f"{done}" + (f"/{self.total}" if self.total is not None else "") + f" {self.what}, {rate:.1f}/s"
        if self.total is not None and rate > 0 and done < self.total:
            text += f", {span((self.total - done) / rate)} left"
        return text

    def __iter__(self) -> Iterator[T]:
        start = last = time.monotonic()
        done = 0
        for done, item in enumerate(self.items, 1):
            yield item
            now = time.monotonic()
            if now - last >= self.pause:
                last = now
                self.say(self.line(done, now - start), final=False)
        self.say(self.line(done, time.monotonic() - start), final=True)

    def say(self, text: str, *, final: bool) -> None:
        """Writes one line; on a terminal it replaces the one before."""
        if self.stream.isatty():
            self.stream.write(f"\r\x1b[K{text}" + ("\n" if final else ""))
            self.stream.flush()
        elif self.stream is sys.stderr:
            tell(text)
        else:
            self.stream.write(text + "\n")
