"""Raw files of one source -> records.jsonl, and a quarantine of what could not be read."""

from mindgauge import ingesting, withdrawals
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Reads the source `names[0]` with its reader."""
    ingesting.ingest(
        step.inputs["raw"], step.out, withdrawn=withdrawals.read(step.inputs.get("withdrawn")), **step.params
    )


if __name__ == "__main__":
    run("ingest", work, __doc__)
