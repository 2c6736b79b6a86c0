"""The merged model and training rows -> the importance matrix its quants are made with."""

from mindgauge import imatrix
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    imatrix.make(
        step.inputs["merge"],
        step.inputs["sft"] / "train.jsonl",
        step.out,
        **{name: step.params[name] for name in ("family", "template", "context", "rows", "seed")},
    )


if __name__ == "__main__":
    run("imatrix", work, __doc__)
