"""Supervised rows -> a dataset to hand on, of sources whose text may be passed on."""

from mindgauge import exporting
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    exporting.export(step.inputs["sft"], step.out, **step.params)


if __name__ == "__main__":
    run("export", work, __doc__)
