"""Says what holds records that were withdrawn, by their ids; --apply removes it and keeps them out of later runs."""

import argparse
import os
from pathlib import Path

from mindgauge import withdrawals
from mindgauge.config import Settings, overlaid
from mindgauge.forgetting import forget
from mindgauge.process import prepare
from mindgauge.step import exit_on_user_error
from mindgauge.store import Store

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="+", metavar="ID", help="a record's id, as in results/data/unified.jsonl")
    parser.add_argument(
        "--configfile", type=Path, nargs="*", default=[], metavar="YAML", help="overlays over config/config.yaml"
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="processes that look through the raw records (default: 2)"
    )
    parser.add_argument("--apply", action="store_true", help="remove it")
    arguments = parser.parse_args()
    with exit_on_user_error():
        config = Settings(overlaid(arguments.configfile)).config
        prepare(group=config.store_group, main=True)
        store = Store(Path(os.environ.get("MINDGAUGE_STORE") or config.store), group=config.store_group)
        store.open()
        ids = {withdrawals.valid(one, "ID") for one in arguments.ids}
        print(forget(store, Path(config.data.withdrawn), ids, arguments.threads, arguments.apply))
