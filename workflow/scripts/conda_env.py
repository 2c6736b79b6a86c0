"""Writes envs/conda/mindgauge.yaml from envs/lock.txt; --check says whether it is in step instead."""

import argparse
import sys
from pathlib import Path

from mindgauge.conda import environment
from mindgauge.files import write_text
from mindgauge.lock import ROOT

FILE = ROOT / "envs/conda/mindgauge.yaml"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if the file is not in step")
    if parser.parse_args().check:
        if not FILE.is_file() or FILE.read_text(encoding="utf-8") != environment():
            sys.exit(
                f"{Path(FILE).relative_to(ROOT)} is not in step with envs/lock.txt: python workflow/scripts/conda_env.py"
            )
    else:
        write_text(FILE, environment())
