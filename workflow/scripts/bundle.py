"""A quant with all that its users need -> the bundle."""

from mindgauge import bundling
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    bundling.bundle(step.inputs, step.out, **step.params)


if __name__ == "__main__":
    run("bundle", work, __doc__)
