"""A model's stanza -> the arguments with which LLaMA-Factory trains it by the same recipe."""

from mindgauge import llama_factory
from mindgauge.files import write_text
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the params to the library."""
    model = step.params["model"]
    arguments = llama_factory.recipe(**step.params)
    write_text(step.out / f"train_{model}_lora.yaml", llama_factory.text(arguments, model))


if __name__ == "__main__":
    run("llama_factory", work, __doc__)
