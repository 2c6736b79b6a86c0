"""One shard of the student and gold records -> labels.jsonl, by one labeller."""

from mindgauge import labellers
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    labellers.label(step.inputs, step.out, step.answers, pace={**step.pace, "threads": step.threads}, **step.params)


if __name__ == "__main__":
    run("label", work, __doc__)
