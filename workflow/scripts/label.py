"""One shard of unified_min.jsonl -> labels.jsonl, by the labeller of the config."""

from mindgauge import labellers
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    labellers.label(step.inputs, step.out, step.work, **step.params)


if __name__ == "__main__":
    run("label", work, __doc__)
