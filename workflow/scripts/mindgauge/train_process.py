"""One of several processes of a training, started by torchrun (mindgauge.distributed); not a step of its own."""

import sys
from pathlib import Path

from mindgauge import distributed, fitting, progress, training
from mindgauge.errors import UserError


def main() -> None:
    """Trains; ends with a word for the process that started it where there is no result."""
    given = distributed.arguments_of(sys.argv)
    progress.job = given["job"]
    work = Path(given["work"])
    try:
        training.fitted(
            Path(given["sft"]),
            Path(given["base"]),
            Path(given["out"]),
            work,
            fit=fitting.Fit(**given["fit"]),
            **given["options"],
        )
    except UserError as error:
        distributed.outcome(work, what=error.what, where=error.where, instead=error.instead)
        raise SystemExit(1) from None
    except training.OutOfMemory:
        distributed.outcome(work, memory=True)
        raise SystemExit(1) from None
    except training.Stopped as stopped:
        distributed.outcome(work, stopped=str(stopped))
        raise SystemExit(training.TEMPORARY) from None


if __name__ == "__main__":
    main()
