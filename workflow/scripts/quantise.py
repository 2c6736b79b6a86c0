"""The full-precision GGUF, and an importance matrix if there is one -> one quant, its tensor types read back."""

from mindgauge import quantising
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    found = step.inputs.get("imatrix")
    imatrix = found / "imatrix.gguf" if found else None
    quantising.quantise(step.inputs["convert"], step.out, step.params["quant"], imatrix)


if __name__ == "__main__":
    run("quantise", work, __doc__)
