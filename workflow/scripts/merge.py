"""A base model and its adapter -> the merged model, checked against the adapter."""

from mindgauge import merging
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    merging.merge(
        step.inputs["base"],
        step.inputs["train"],
        step.inputs["sft"],
        step.out,
        **{name: step.params[name] for name in ("family", "template", "context")},
    )


if __name__ == "__main__":
    run("merge", work, __doc__)
