"""Hashes the files of a raw source and writes its gate."""

import argparse
from pathlib import Path

from mindgauge.raw import hash_source
from mindgauge.step import logged

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "token", type=Path, help="the file that stands for the source (results/.raw/<name>/<token>.json)"
    )
    parser.add_argument("gate", type=Path, help="the gate's file")
    arguments = parser.parse_args()
    with logged():
        hash_source(arguments.token, arguments.gate)
