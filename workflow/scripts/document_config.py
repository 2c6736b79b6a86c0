"""Writes config/README.md and config/schemas/ from the configuration's models, and the picture of the steps from the plan (all that
mindgauge.reference names); --check says whether they are in step."""

import argparse
import sys

from mindgauge.files import write_text
from mindgauge.reference import documents

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if a file is out of step"
    )
    arguments = parser.parse_args()
    stale = [
        path for path, text in documents().items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if arguments.check:
            print(f"{path} is out of step: python workflow/scripts/document_config.py", file=sys.stderr)
        else:
            write_text(path, documents()[path])
    sys.exit(bool(stale) and arguments.check)
