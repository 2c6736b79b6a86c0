"""Records, groups and labels -> supervised rows in train, val, test and gold."""

from pathlib import Path

from mindgauge import sft
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    step.facts |= sft.make(step.inputs, step.out, Path("results/sft"), **step.params)


if __name__ == "__main__":
    run("make_sft", work, __doc__)
