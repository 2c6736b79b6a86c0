"""The merged model -> a full-precision GGUF, by llama.cpp's official converter, which says what it was made of."""

from mindgauge import converting, gguf_metadata, quantising
from mindgauge.files import write_json
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Converts, and reads back what was written."""
    params = dict(step.params)
    model, outtype = params.pop("model"), params.pop("outtype")
    metadata = gguf_metadata.described(model, step.inputs["sft"], **params)
    converting.convert(step.inputs["merge"], step.out, step.work, model, outtype, metadata)
    write_json(step.out / "tensors.json", quantising.tensors(step.out / "model.gguf", None))


if __name__ == "__main__":
    run("convert", work, __doc__)
