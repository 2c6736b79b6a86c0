"""Snakemake on the cluster, in the background, as a user drives it."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from clone import Clone

# The plugin asks for the first time after so many seconds, and 10 s later each time that nothing has ended.
FIRST_POLL = 2


class Driver:
    """A run of some targets by profiles/slurm. `said` is what it has printed; `environment` are settings of the site."""

    def __init__(
        self,
        clone: Clone,
        *targets: str,
        overlays: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        first = ("--slurm-init-seconds-before-status-checks", str(FIRST_POLL))
        command, found = clone.call(*first, *options, "--", *targets, profile="slurm", overlays=overlays)
        count = len(list(clone.root.glob("driver-*.log")))
        self.log = clone.root / f"driver-{count:02}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                cwd=clone.root,
                env={**found, **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Where the tests run in the background of a script, Ctrl-C's signal is ignored by all they start.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    @property
    def said(self) -> str:
        """All it has printed until now."""
        return self.log.read_text(errors="replace")

    def until(self, pattern: str, seconds: float = 300) -> "re.Match[str]":
        """Waits until it has printed something; its match. Raises AssertionError if it does not, or ends before."""
        end = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None
            if match := re.search(pattern, self.said, re.MULTILINE):
                return match
            assert not ended, f"{pattern!r} was not said\n{self.said[-4000:]}"
            assert time.monotonic() < end, f"{pattern!r} was not said within {seconds} s\n{self.said[-4000:]}"
            time.sleep(0.2)

    def wait(self, seconds: float = 600) -> int:
        """Its exit status. Raises AssertionError if it does not end."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {seconds} s\n{self.said[-4000:]}") from None

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of the driver and what it started on this machine; its jobs are not among them."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def steps(log: Path) -> int:
    """The last step of training that a log tells of; 0 before the first."""
    found = re.findall(r"^step (\d+)/", log.read_text(errors="replace"), re.MULTILINE) if log.is_file() else []
    return int(found[-1]) if found else 0
