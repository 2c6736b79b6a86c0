"""One variant of a model on the held-out rows -> metrics.json and predictions by id."""

from mindgauge import evaluating
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    artifacts = {name: path for name, path in step.inputs.items() if name != "sft"}
    evaluating.evaluate(step.inputs["sft"], artifacts, step.out, threads=step.threads, **step.params)


if __name__ == "__main__":
    run("evaluate", work, __doc__)
