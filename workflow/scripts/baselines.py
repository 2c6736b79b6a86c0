"""Majority, keyword rules and TF-IDF on the held-out rows."""

from mindgauge import comparing
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    comparing.compare(step.inputs["sft"], step.out, step.params["labels"])


if __name__ == "__main__":
    run("baselines", work, __doc__)
