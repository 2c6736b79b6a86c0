"""Says what is missing or wrong of a model before any GPU is asked for. Exit status 1 if it cannot be trained so."""

import argparse
import sys
from pathlib import Path

from mindgauge import model_checking
from mindgauge.config import Settings, overlaid
from mindgauge.findings import table
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="the name of its stanza in config/models.yaml")
    parser.add_argument(
        "--configfile", type=Path, nargs="*", default=[], metavar="YAML", help="overlays over config/config.yaml"
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        found = model_checking.check(arguments.model, Settings(overlaid(arguments.configfile)))
    print(table(found))
    sys.exit(any(one.state == "failure" for one in found))
