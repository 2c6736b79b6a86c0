"""What is looked at before the first job of a run on SLURM: one message instead of one a job."""

import difflib
import getpass
import os
import re
from collections.abc import Iterable
from typing import Any

from mindgauge.errors import UserError
from mindgauge.slurm import ask, key_of

PROFILE = "profiles/slurm/config.yaml"
ENFORCED = re.compile(r"^AccountingStorageEnforce\s*=.*associations", re.MULTILINE)


def _refuse_unknown(what: str, asked: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raises UserError for the first name that the cluster does not have. If it tells none, it is asked when jobs are submitted."""
    known = list(dict.fromkeys(name for name in known if name))
    for name in asked if known else ():
        if name not in known:
            near = "".join(f"{one}   " for one in difflib.get_close_matches(name, known, 1, 0.5))
            raise UserError(
                f"the cluster has no {what} {name!r} for you",
                where=where,
                instead=f"{near}(valid here: {', '.join(known)})",
            )


def refuse(workflow: Any) -> None:
    """Raises UserError before the first job of a run on SLURM if it could not go well: a partition or an account that the cluster
    does not know, or jobs of an earlier run that still work here, whose driver was killed. Takes Snakemake's workflow."""
    if workflow.executor_plugin is None or workflow.executor_plugin.name != "slurm":
        return
    asked: dict[str, list[str]] = {"slurm_partition": [], "slurm_account": []}
    for rule in workflow.rules:
        for name, found in asked.items():
            if name in rule.resources and not workflow.is_local(rule):
                found += str(rule.resources[name].raw).split(",")
    partitions = (ask("sinfo", "--noheader", "--format", "%R") or "").split()
    _refuse_unknown(
        "partition",
        asked["slurm_partition"],
        partitions,
        f"{PROFILE}, slurm_partition (MINDGAUGE_PARTITION, MINDGAUGE_CPU_PARTITION)",
    )
    accounts = ask("sacctmgr", "-n", "-P", "show", "associations", f"user={getpass.getuser()}", "format=account")
    where = f"{PROFILE}, slurm_account (MINDGAUGE_ACCOUNT)"
    _refuse_unknown("account", asked["slurm_account"], (accounts or "").split(), where)
    if accounts == "" and ENFORCED.search(ask("scontrol", "show", "config") or ""):
        raise UserError(
            f"you ({getpass.getuser()}) have no account on this cluster, which takes no job without one",
            where=where,
            instead="ask its administrators for one (sacctmgr show associations user=$USER lists yours)",
        )
    here, left = os.path.realpath(os.getcwd()), []
    for line in (ask("squeue", "--me", "--noheader", "--format", "%i|%Z|%k") or "").splitlines():
        number, place, comment = line.split("|", 2)
        if key_of(comment) and os.path.realpath(place) == here:
            left.append(number)
    if left:
        raise UserError(
            f"jobs of an earlier run, whose driver was killed, still wait or work here: {', '.join(left)}",
            where="squeue",
            instead=f"the same command when they have ended (make status), or after: scancel {' '.join(left)}",
        )
