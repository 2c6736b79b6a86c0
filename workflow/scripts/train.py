"""Supervised rows and a base model -> a LoRA adapter."""

from mindgauge import training
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    training.train(
        step.inputs["sft"],
        step.inputs["base"],
        step.out,
        step.work,
        **{name: step.params[name] for name in ("model", "family", "template", "context", "labels")},
        numbers=step.params["train"],
        pace=step.pace,
    )


if __name__ == "__main__":
    run("train", work, __doc__)
