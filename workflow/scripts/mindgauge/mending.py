"""What must not be believed is taken away before a run is planned, so that it is made again: gates that were changed, or whose entry
is gone, and views that lead nowhere or are no links any more."""

import sys
from collections.abc import Iterable
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.pages import PAGES
from mindgauge.plan import GATES
from mindgauge.store import Store, read_sealed
from mindgauge.withdrawing import EDITED


def _say(text: str) -> None:
    print(f"mindgauge: {text}", file=sys.stderr)


def gates(store: Store) -> None:
    """Removes the gates that do not say what was written into them, or whose entry this store does not have."""
    for gate in sorted(GATES.rglob("*.json")):
        try:
            said = read_sealed(gate)
        except UserError:
            _say(f"{gate} is not as this version wrote it, and is made again")
            gate.unlink()
            continue
        if "where" in said and not store.has(said["where"]):
            gate.unlink()


def views(paths: Iterable[Path]) -> None:
    """Removes links that lead nowhere, at which Snakemake stops; a file that stands where a link to the store should be (an editor
    put it there) gets another name."""
    for view in paths:
        if view.is_symlink():
            if not view.exists():
                view.unlink()
        elif view.is_file() and not view.is_relative_to(PAGES):
            kept = view.with_name(view.name + EDITED)
            view.rename(kept)
            _say(f"{view} was no link to the store, and is made again; what stood there is {kept} now")
