"""One variant of a model on the held-out rows -> metrics.json and predictions by id."""

from mindgauge import evaluating
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """The tokenizer of a GGUF's prompts is that of the merged model; a transformers model has its own."""
    options = {name: value for name, value in step.params.items() if name != "model"}
    tokenizer = step.inputs.get("tokenizer", step.inputs["artifact"])
    evaluating.evaluate(
        step.inputs["sft"], step.inputs["artifact"], tokenizer, step.out, name=step.params["model"], **options
    )


if __name__ == "__main__":
    run("evaluate", work, __doc__)
