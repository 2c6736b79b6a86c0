"""Writes a gate: what an entry holds, at a fixed path."""

import argparse
from pathlib import Path

from mindgauge.linking import write_gate
from mindgauge.step import logged

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stamp", type=Path, help="the stamp of the entry")
    parser.add_argument("gate", type=Path, help="the gate's file")
    arguments = parser.parse_args()
    with logged():
        write_gate(arguments.stamp, arguments.gate)
