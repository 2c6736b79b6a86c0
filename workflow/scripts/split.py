"""unified_min.jsonl -> groups.jsonl: which records must stay together."""

from mindgauge import splitting
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    splitting.split(step.inputs["minimise"], step.out, **step.params)


if __name__ == "__main__":
    run("split", work, __doc__)
