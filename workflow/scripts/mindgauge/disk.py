"""Is there room for what is about to be written?"""

import errno
import shutil
from pathlib import Path

from mindgauge.errors import UserError

# Beside the weights: a header with its vocabulary, and what others write meanwhile.
SPARE = 64 << 20
INSTEAD = "free some space there, or a store on another file system (`store:` in the config, or MINDGAUGE_STORE)"


def size(count: float) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def need(directory: Path, count: float, what: str) -> None:
    """Raises UserError if the file system of `directory` has no room for `count` bytes."""
    free = shutil.disk_usage(directory).free
    if free < count + SPARE:
        raise UserError(
            f"{what} takes about {size(count)}, and {size(free)} are free",
            where=str(directory),
            instead=INSTEAD,
        )


def full(error: OSError) -> bool:
    """Whether an error says that a file system is full, or a quota used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def told(directory: Path) -> UserError | None:
    """A UserError if hardly a byte is free where `directory` lies: what libraries say of a full disk is seldom an OSError."""
    if shutil.disk_usage(directory).free > 1 << 20:
        return None
    return UserError("the disk is full; nothing half-written was kept", where=str(directory), instead=INSTEAD)
