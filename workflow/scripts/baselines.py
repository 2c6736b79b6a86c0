"""Majority, keyword rules, TF-IDF and the labeller on the held-out rows."""

from mindgauge import comparing
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    comparing.compare(step.inputs["sft"], step.inputs["labels"] / "gold_labels.jsonl", step.out, **step.params)


if __name__ == "__main__":
    run("baselines", work, __doc__)
