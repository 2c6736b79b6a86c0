"""Every GGUF of a model, with a few threads -> bench.json: size, peak memory, tokens a second."""

from mindgauge import bench
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    params = dict(step.params)
    ggufs = dict(zip(params.pop("variants"), step.lists["gguf"], strict=True))
    files = {name: entry / "model.gguf" for name, entry in ggufs.items()}
    threads = params.pop("threads")
    bench.write(files, step.out, bench.Workload(**params), threads, step.threads)


if __name__ == "__main__":
    run("bench", work, __doc__)
