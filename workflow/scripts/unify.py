"""Records of all sources -> unified.jsonl: one form, identities replaced, content-derived ids."""

from mindgauge import unifying, withdrawals
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    unifying.unify(step.lists["ingest"], step.out, step.threads, withdrawals.read(step.inputs.get("withdrawn")))


if __name__ == "__main__":
    run("unify", work, __doc__)
