"""Every GGUF of a model beside the merged model, token by token -> logits.json."""

from mindgauge import fidelity
from mindgauge.files import write_json
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    params = dict(step.params)
    ggufs = dict(zip(params.pop("variants"), step.lists["gguf"], strict=True))
    files = {name: entry / "model.gguf" for name, entry in ggufs.items()}
    found = fidelity.compared(
        step.inputs["merge"], files, step.inputs["sft"] / "test.jsonl", threads=step.threads, **params
    )
    write_json(step.out / "logits.json", found)


if __name__ == "__main__":
    run("fidelity", work, __doc__)
