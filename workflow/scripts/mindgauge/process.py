"""What Snakemake's process hands down to its jobs."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


def prepare(*, group: bool, main: bool) -> None:
    """Everything made is private (to the owner, or with `group` to the group), and jobs run the Python that runs Snakemake. What is
    not Snakemake's `main` process works on a node, where no library may try the network: bases are fetched by the main one."""
    os.umask(0o007 if group else 0o077)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if not main:
        os.environ.update(dict.fromkeys(OFFLINE, "1"))


def dry_run(arguments: Sequence[str]) -> bool:
    """Does the command line ask for a dry run? While the Snakefile is read Snakemake does not say."""
    return any(re.fullmatch(r"--dry-?run|-[a-zA-Z]*n[a-zA-Z]*", argument) for argument in arguments)


def makes(dag: Any) -> bool:
    """Is a run to make something? `verify` only looks: that it finds damage says nothing of what the views show."""
    return any(job.rule.name != "verify" for job in dag.targetjobs)


def refuse_half_way(dag: Any, outdated: Iterable[Path]) -> None:
    """Raises UserError if a run that calls itself finished has not made what it was asked for, or left there one of the `outdated`
    views: Snakemake can lose the jobs behind a checkpoint and then ends well (docs/pitfalls.md tells of the ways that are known)."""
    others = {str(view) for view in outdated}
    wanted = [str(file) for job in dag.targetjobs for file in (*job.input, *job.output)]
    if missing := [file for file in wanted if file in others or not os.path.lexists(file)]:
        raise UserError(
            f"Snakemake stopped half-way: {len(missing)} of {len(wanted)} targets are not made, the first is {missing[0]}",
            where="the gates (checkpoints) of this run",
            instead="the same command again: what was made is kept, and it goes on from there",
        )
