"""A run with its workflow, configuration and cards -> crate.zip, a Workflow Run RO-Crate without text and weights."""

from mindgauge import packing
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    packing.pack(step.inputs, step.lists["workflow"], step.lists["entries"], step.out, step.work, **step.params)


if __name__ == "__main__":
    run("crate", work, __doc__)
