"""Answers of all labellers and shards -> dataset.jsonl, needs_review.csv, audit sheet, the labeller against gold, repro package."""

from mindgauge import labelling
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    labelling.merge(step.inputs["minimise"], step.lists, step.out, **step.params)


if __name__ == "__main__":
    run("merge_labels", work, __doc__)
