"""The hashes of the steps' code, kept from run to run: to work them out takes most of a second, to see that no file was touched a
hundredth of one."""

import hashlib
import os
import sys
from functools import cache
from pathlib import Path

from mindgauge import code
from mindgauge.errors import UserError
from mindgauge.store import read_sealed, write_sealed

KEPT = Path("results/.code.json")


def _state() -> str:
    """The hash of every file of the programs and the library, byte for byte, and of Python's version."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for directory, below, names in os.walk(code.SCRIPTS):
        below[:] = sorted(name for name in below if name != "__pycache__")
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(directory, name)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(code.SCRIPTS)}\0{content}\n".encode())
    return digest.hexdigest()


@cache
def _kept() -> tuple[str, dict[str, str]]:
    """The state of the code, and the hashes that were kept of it."""
    state = _state()
    try:
        found = read_sealed(KEPT)
    except (OSError, UserError):
        found = {}
    return state, found["hashes"] if found.get("state") == state else {}


@cache
def code_hash(step: str, uses: tuple[str, ...] = ()) -> str:
    """The hash of a step's code (`code.code_hash`). Below `results`, where that is, it is kept for the next run."""
    state, known = _kept()
    name = " ".join([step, *uses])
    if name not in known:
        known[name] = code.code_hash(step, uses)
        # Code that was edited since is not what the state tells.
        if KEPT.parent.is_dir() and _state() == state:
            write_sealed(KEPT, {"state": state, "hashes": known})
    return known[name]
