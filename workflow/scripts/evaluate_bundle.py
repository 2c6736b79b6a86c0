"""A finished bundle on your own gold rows, without any training. Prints the figures; --out keeps them as JSON (no text)."""

import argparse
from pathlib import Path

from mindgauge import own_gold
from mindgauge.files import write_json
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="results/models/<model>/bundle/<quant>")
    parser.add_argument(
        "gold", type=Path, help="JSONL, CSV, XLSX or Parquet with `text` and the labels in columns of their names"
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="which column holds text or a label, if not its name",
    )
    parser.add_argument("--out", type=Path, help="a JSON file for all figures")
    arguments = parser.parse_args()
    with exit_on_user_error():
        columns = dict(pair.split("=", 1) for pair in arguments.column if "=" in pair)
        found = own_gold.judge(arguments.bundle, arguments.gold, columns)
        if arguments.out:
            write_json(arguments.out, found)
    print(own_gold.table(found))
