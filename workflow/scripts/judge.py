"""All variants of a model -> comparisons, the gates' decision, and the table of errors."""

from mindgauge import judging
from mindgauge.files import read_json
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the inputs to the library."""
    variants = step.params["variants"]
    entries = dict(zip(variants, step.lists["evaluate"], strict=True))
    entries["tfidf"] = step.inputs["baselines"] / "tfidf"
    options = {name: step.params[name] for name in ("full", "quants", "gates", "labels")}
    chosen = step.inputs.get("choose")
    choice = read_json(chosen / "choice.json") if chosen else None
    judging.judge(entries, step.inputs["fidelity"] / "logits.json", step.out, **options, choice=choice)


if __name__ == "__main__":
    run("judge", work, __doc__)
