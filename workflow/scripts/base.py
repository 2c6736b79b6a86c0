"""A base model, from a local directory or the hub, with the sha256 of each file."""

from mindgauge import fetching
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    facts, lock = fetching.base(
        step.params["model"], step.params["hub"], step.params["lock"], step.inputs.get("raw"), step.out
    )
    step.facts |= facts
    step.settled["lock"] = lock


if __name__ == "__main__":
    run("base", work, __doc__)
