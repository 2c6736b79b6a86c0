"""All figures -> the report: index.html, results.json, results.txt."""

from mindgauge import reporting
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the entries to the library."""
    reporting.report(step.inputs, step.lists, step.params, step.out)


if __name__ == "__main__":
    run("report", work, __doc__)
