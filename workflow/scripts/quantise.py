"""The full-precision GGUF -> one quant, its tensor types read back."""

from mindgauge import quantising
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    quantising.quantise(step.inputs["convert"], step.out, step.params["quant"])


if __name__ == "__main__":
    run("quantise", work, __doc__)
