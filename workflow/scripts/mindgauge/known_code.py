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


class _Kept:
    """The state of the code as this process found it, and the hashes that are known of it; `new`: some are not in the file."""

    def __init__(self) -> None:
        self.state, self.new = _state(), False
        try:
            found = read_sealed(KEPT)
        except (OSError, UserError):
            found = {}
        self.hashes: dict[str, str] = found["hashes"] if found.get("state") == self.state else {}


_kept = cache(_Kept)


@cache
def code_hash(step: str, uses: tuple[str, ...] = ()) -> str:
    """The hash of a step's code (`code.code_hash`)."""
    kept, name = _kept(), " ".join([step, *uses])
    if name not in kept.hashes:
        kept.hashes[name], kept.new = code.code_hash(step, uses), True
    return kept.hashes[name]


def keep() -> None:
    """Keeps for the next run what was worked out in this one."""
    kept = _kept()
    # Code that was edited since is not what the state tells.
    if kept.new and _state() == kept.state:
        write_sealed(KEPT, {"state": kept.state, "hashes": kept.hashes})
    kept.new = False
