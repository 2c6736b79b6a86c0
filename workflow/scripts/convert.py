"""The merged model -> a full-precision GGUF, by llama.cpp's official converter."""

from mindgauge import converting, quantising
from mindgauge.files import write_json
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Converts, and reads back what was written."""
    converting.convert(step.inputs["merge"], step.out, step.work, step.params["model"], step.params["outtype"])
    write_json(step.out / "tensors.json", quantising.tensors(step.out / "model.gguf", None))


if __name__ == "__main__":
    run("convert", work, __doc__)
