"""Quants tried in order on validation rows -> the first that says what the merged model says."""

from mindgauge import choosing
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    choosing.choose(step.inputs, step.out, step.work, threads=step.threads, **step.params)


if __name__ == "__main__":
    run("choose", work, __doc__)
