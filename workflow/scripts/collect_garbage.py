"""Lists what no named configuration reaches in the store, with its bytes; --apply removes it."""

import argparse
from pathlib import Path

from mindgauge.collecting import collect
from mindgauge.config import Settings, overlaid
from mindgauge.step import exit_on_user_error

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "configs",
        nargs="*",
        metavar="CONFIG",
        help="a configuration to keep: an overlay over config/config.yaml, or several joined by commas; none: config/config.yaml itself",
    )
    parser.add_argument("--days", type=float, default=1.0, help="what is younger stays (default: 1)")
    parser.add_argument("--apply", action="store_true", help="remove it")
    arguments = parser.parse_args()
    with exit_on_user_error():
        named = {
            name: Settings(overlaid([Path(file) for file in name.split(",") if file]))
            for name in arguments.configs or [""]
        }
        print(
            collect({name or "config/config.yaml": of for name, of in named.items()}, arguments.days, arguments.apply)
        )
