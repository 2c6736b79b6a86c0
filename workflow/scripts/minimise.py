"""unified.jsonl -> unified_min.jsonl: student records, cropped."""

from mindgauge import minimising
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    step.facts |= minimising.minimise(step.inputs["unify"], step.out, step.threads, **step.params)


if __name__ == "__main__":
    run("minimise", work, __doc__)
