"""All variants of a model -> comparisons, the gates' decision, and the table of errors."""

from mindgauge import judging
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    variants = step.params["variants"]
    entries = dict(zip(variants, step.lists["evaluate"], strict=True))
    entries["tfidf"] = step.inputs["baselines"] / "tfidf"
    options = {name: step.params[name] for name in ("quants", "gates", "labels")}
    judging.judge(entries, step.inputs["fidelity"] / "logits.json", step.out, **options)


if __name__ == "__main__":
    run("judge", work, __doc__)
