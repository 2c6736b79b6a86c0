"""Says before a run what it would make, which part of which key changed, and what that takes: jobs, GPU hours, disk."""

import argparse
from pathlib import Path

from mindgauge.config import Settings, overlaid
from mindgauge.forecast import forecast, text
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--configfile", type=Path, nargs="*", default=[], metavar="YAML", help="overlays over config/config.yaml"
    )
    parser.add_argument(
        "target", nargs="*", default=["all"], help="as for Snakemake: a name or a file below results/ (default: all)"
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        print(text(forecast(Settings(overlaid(arguments.configfile)), arguments.target or ["all"])))
