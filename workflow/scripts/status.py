"""Says how far the run is: a line a model with state, progress, loss, time left and SLURM job, from logs, stamps and store alone."""

import argparse
import contextlib
import json
import time

from mindgauge import states
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="every entry, for programs")
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=5.0,
        metavar="SECONDS",
        help="look again every so often (default: 5), until Ctrl-C",
    )
    arguments = parser.parse_args()
    with exit_on_user_error(), contextlib.suppress(KeyboardInterrupt):
        while True:
            found = states.look()
            text = json.dumps(states.plain(*found), indent=2) if arguments.json else states.table(*found)
            print(text if arguments.watch is None or arguments.json else f"\x1b[H\x1b[2J{text}", flush=True)
            if arguments.watch is None:
                break
            time.sleep(arguments.watch)
