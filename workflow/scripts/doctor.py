"""Looks at a site before the first run: tools, partition, account, GPU type, file systems, software, base models. Each finding has
its remedy; exit status 1 if a run would fail. Nothing is submitted unless asked."""

import argparse
import sys
from pathlib import Path

from mindgauge import cluster
from mindgauge.config import Settings, overlaid
from mindgauge.doctor import examine
from mindgauge.findings import table
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--configfile", type=Path, nargs="*", default=[], metavar="YAML", help="overlays over config/config.yaml"
    )
    parser.add_argument(
        "--profile", default="slurm", metavar="NAME", help="a directory below profiles/ (default: slurm)"
    )
    parser.add_argument("--job", action="store_true", help="also run the environment's Python on a node, by srun")
    arguments = parser.parse_args()
    with exit_on_user_error():
        profile = cluster.read_profile(Path("profiles") / arguments.profile)
        # A profile may name a configuration of its own, as that of the demo does.
        overlays = arguments.configfile or [Path(of) for of in [profile.get("configfile")] if of]
        found = examine(Settings(overlaid(overlays)), profile, job=arguments.job)
    print(table(found))
    if profile.get("executor") == "slurm" and not arguments.job:
        print("Not tried: the environment on a node (DOCTOR_JOB=1 make doctor).")
    sys.exit(any(one.state == "failure" for one in found))
