"""Says what is there of the configured sources: files, records, faults, terms. Exit status 1 if one cannot be used."""

import argparse
import sys
from pathlib import Path

from mindgauge import checking
from mindgauge.config import Settings, overlaid
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--configfile", type=Path, nargs="*", default=[], metavar="YAML", help="overlays over config/config.yaml"
    )
    with exit_on_user_error():
        sources = Settings(overlaid(parser.parse_args().configfile)).config.sources
        checked = [checking.check_source(name, source) for name, source in sources.items()]
    print(checking.table(checked))
    sys.exit(any(found.wrong for found in checked))
