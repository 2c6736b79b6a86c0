"""A base model, from a local directory or the hub, with the sha256 of each file."""

from mindgauge import fetching
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    step.facts |= fetching.base(
        step.params["model"], step.params["hub"], step.params["lock"], step.inputs.get("raw"), step.out
    )


if __name__ == "__main__":
    run("base", work, __doc__)
