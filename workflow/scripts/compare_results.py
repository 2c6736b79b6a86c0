"""Two evaluations on the same rows, compared in pairs; or one, its figures computed again from its prediction rows.

compare_results.py results/models/a/eval/merged results/models/b/eval/merged     # directories of metrics.json and predictions/
compare_results.py --again results/models/a/eval/merged
"""

import argparse
import sys
from pathlib import Path

from mindgauge import judging
from mindgauge.comparisons import compare
from mindgauge.errors import UserError
from mindgauge.files import read_json
from mindgauge.labels import Scheme
from mindgauge.step import exit_on_user_error


def main() -> int:
    """Prints a table; exit status 1 if figures computed again are not those of the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluations", type=Path, nargs="+", help="directories with metrics.json and predictions/")
    parser.add_argument(
        "--again", action="store_true", help="compute the figures of each again and compare them with its record"
    )
    parser.add_argument(
        "--way", choices=("constrained", "free"), default="constrained", help="way of answering to compare"
    )
    parser.add_argument("--set", choices=("test", "gold"), default="test", dest="name", help="rows to compare on")
    parser.add_argument("--labels", type=Path, default=Path("config/labels.yaml"), help="the label scheme")
    arguments = parser.parse_args()
    with exit_on_user_error():
        scheme = Scheme.load(arguments.labels)
        if arguments.again:
            differing = [
                f"{entry}: {differs}" for entry in arguments.evaluations for differs in judging.again(scheme, entry)
            ]
            print("\n".join(differing) or "all figures are those of the records")
            return bool(differing)
        if len(arguments.evaluations) != 2:
            raise UserError(
                "two evaluations are compared", where="the command line", instead="two directories, or --again"
            )
        for entry in arguments.evaluations:
            read_json(entry / "metrics.json")
        held = [judging.predicted(scheme, entry, arguments.way, arguments.name) for entry in arguments.evaluations]
        if held[0] is None or held[1] is None:
            raise UserError(
                f"there are no predictions of this way ({arguments.way}) and set ({arguments.name})",
                where=str(arguments.evaluations[held.index(None)]),
                instead="another --way or --set",
            )
        print(judging.table(compare(held[0], held[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
