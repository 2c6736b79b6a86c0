"""Hashes the files of a raw source and writes its gate."""

import argparse
from pathlib import Path

from mindgauge.raw import hash_source
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "token", type=Path, help="the file that stands for the source (results/.raw/<name>/<token>.json)"
    )
    parser.add_argument("gate", type=Path, help="the gate's file")
    arguments = parser.parse_args()
    with exit_on_user_error():
        hash_source(arguments.token, arguments.gate)
