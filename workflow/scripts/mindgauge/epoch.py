"""The epoch: a file that every gate and view takes as an input.

Gates and views are made again when their input set changes, which Snakemake remembers in .snakemake/metadata. Where a record
is gone, a new epoch makes them all stale; they cost seconds. Its own date is written in it and put back when it was
touched, so that a date alone runs nothing.
"""

import base64
import os
import time
from collections.abc import Iterable
from pathlib import Path

from mindgauge.files import write_text

EPOCH = Path("results/.epoch")
METADATA = Path(".snakemake/metadata")


def _recorded(path: Path) -> bool:
    """Does Snakemake remember how `path` was made? (snakemake/persistence.py names records by the urlsafe base64 of the
    path, cut into directories where it is long.)"""
    name = base64.urlsafe_b64encode(str(path).encode()).decode()
    if len(name) <= 255:
        return (METADATA / name).exists()
    parts = ["@" + name[start : start + 253] for start in range(0, len(name) - 253, 253)]
    return METADATA.joinpath(*parts).is_dir()


def keep(made: Iterable[Path]) -> None:
    """Renews the epoch if Snakemake has forgotten how any of the gates and views `made` that exist was made; otherwise
    puts back its date."""
    if EPOCH.is_file() and METADATA.is_dir() and all(_recorded(path) for path in made if os.path.lexists(path)):
        try:
            date = int(EPOCH.read_text())
        except ValueError:
            date = 0
        if date:
            if EPOCH.stat().st_mtime_ns != date:
                os.utime(EPOCH, ns=(date, date))
            return
    now = time.time_ns()
    write_text(EPOCH, f"{now}\n")
    os.utime(EPOCH, ns=(now, now))
