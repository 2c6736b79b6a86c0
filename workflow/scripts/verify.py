"""Hashes every artifact again, in parallel; prints what differs and exits with status 1 if anything does."""

import argparse
import sys
from pathlib import Path

from mindgauge.step import logged
from mindgauge.verifying import verify

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--threads", type=int, default=2, help="files hashed at once")
    arguments = parser.parse_args()
    with logged():
        found = verify(arguments.results, arguments.threads)
        for line in found.wrong:
            print(line)
        print(f"verify: {found.entries} entries, {found.files} files, {len(found.wrong)} wrong")
        sys.exit(bool(found.wrong))
