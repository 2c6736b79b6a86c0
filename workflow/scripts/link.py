"""Points views at the files of a store entry."""

import argparse
from pathlib import Path

from mindgauge.linking import link
from mindgauge.step import logged

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stamp", type=Path, help="the stamp of the entry")
    parser.add_argument("views", type=Path, nargs="+", help="the views to make")
    parser.add_argument("--file", help="the file of the entry to show, where its name is not the view's")
    parser.add_argument("--everything", action="store_true", help="show every file of the entry beside the first view")
    arguments = parser.parse_args()
    with logged():
        link(arguments.stamp, arguments.views, arguments.file, arguments.everything)
