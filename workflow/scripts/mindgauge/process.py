"""What Snakemake's process hands down to its jobs."""

import os
import sys
from pathlib import Path


def prepare(*, group: bool) -> None:
    """Everything made is private (to the owner, or with `group` to the group), and jobs run the Python that runs Snakemake."""
    os.umask(0o007 if group else 0o077)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
