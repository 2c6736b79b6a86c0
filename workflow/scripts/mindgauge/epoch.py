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

from mindgauge.files import read_json, write_json

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


def _stale(path: Path, date: int) -> bool:
    """Is a file older than the epoch of that date (ns), so that Snakemake makes it again as soon as it is asked for?"""
    dates = [path.lstat().st_mtime_ns] + ([path.stat().st_mtime_ns] if path.exists() else [])
    return max(dates) < date


def keep(made: Iterable[Path], gates: Iterable[Path], *, changed: bool = False) -> None:
    """Renews the epoch, or puts back its date.

    It is renewed if Snakemake has forgotten how one of `made`, the gates and views, was made (but not for ever on account of one that
    this configuration does not ask for: what is older than the epoch is stale as it is); and if one of the `gates` the
    configuration asks for is missing that was not missing before: where a job waits for a checkpoint, Snakemake takes its
    existing outputs for up to date, so a new gate (another labeller, a new model) would go unseen. So would raw files that
    `changed`: the gate behind them runs again, and the run ends there, since nothing else was to be run before.
    """
    missing = sorted(str(path) for path in gates if not path.is_file())
    if not changed and EPOCH.is_file() and METADATA.is_dir():
        held = read_json(EPOCH)
        if (
            isinstance(held, dict)
            and set(missing) <= set(held["missing"])
            and all(_recorded(path) or _stale(path, held["date"]) for path in made if os.path.lexists(path))
        ):
            if missing != held["missing"]:  # gates that were made since, and may be lost again
                write_json(EPOCH, {"date": held["date"], "missing": missing})
            if EPOCH.stat().st_mtime_ns != held["date"]:
                os.utime(EPOCH, ns=(held["date"], held["date"]))
            return
    now = time.time_ns()
    write_json(EPOCH, {"date": now, "missing": missing})
    os.utime(EPOCH, ns=(now, now))
