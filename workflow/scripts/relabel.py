"""Labels a sample of the records again, as a repro package says, and compares. Exit status 1 if an answer differs."""

import argparse
import sys
from pathlib import Path

from mindgauge import repro
from mindgauge.backends import BACKENDS
from mindgauge.config import Settings, overlaid
from mindgauge.errors import UserError
from mindgauge.files import read_json
from mindgauge.raw import content_of
from mindgauge.step import exit_on_user_error


def main() -> int:
    """Prints how many answers of each voter are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, default=Path("results/labels/repro_package"), help="the package")
    parser.add_argument(
        "--data", type=Path, default=Path("results/data"), help="where unified_min.jsonl and gold.jsonl are"
    )
    parser.add_argument("--sample", type=int, default=50, metavar="N", help="records to label again (default: 50)")
    parser.add_argument(
        "--configfile", type=Path, nargs="*", default=[], metavar="YAML", help="overlays over config/config.yaml"
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        voters = Settings(overlaid(arguments.configfile)).voters
        files = {}
        for name, of in read_json(arguments.package / "config.json")["voters"].items():
            reads = BACKENDS[of["backend"]].reads
            if name not in voters or voters[name].backend != of["backend"]:
                raise UserError(
                    f"the config has no labeller {name}", where="label", instead="the overlay (--configfile) of the run"
                )
            if reads:
                files[name] = Path(str(getattr(voters[name], reads)))
                if content_of(files[name]) != of["sha256"]:
                    raise UserError(
                        f"the file of the labeller {name} is another one than that of the package",
                        where=str(files[name]),
                        instead=f"the file {of['file']} with the sha256 in config.json",
                    )
        pace = {name: voter.model_dump(include=set(BACKENDS[voter.backend].pace)) for name, voter in voters.items()}
        found = repro.relabel(arguments.package, arguments.data, files, pace, arguments.sample)
    for name, of in found.items():
        print(
            f"{name}: {of['same']} of {of['asked']} answers are the same"
            + "".join(f"\n  differs: {i}" for i in of["differ"])
        )
    return any(of["differ"] for of in found.values())


if __name__ == "__main__":
    sys.exit(main())
