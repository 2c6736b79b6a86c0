"""The course of a training as pictures: training_loss.png and training_eval_loss.png."""

from pathlib import Path
from typing import Any

SMOOTHING = 0.8  # what the moving average keeps of what was before


def smoothed(values: list[float], keep: float = SMOOTHING) -> list[float]:
    """The exponential moving average: `keep` of the mean before and the rest of the value."""
    means: list[float] = []
    for value in values:
        means.append(value if not means else keep * means[-1] + (1 - keep) * value)
    return means


def draw(history: list[dict[str, Any]], out: Path) -> None:
    """Both pictures from transformers' log_history (`step`, `loss`, `eval_loss`), the training loss raw and smoothed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    for key, title, name in (
        ("loss", "Training loss", "training_loss.png"),
        ("eval_loss", "Validation loss", "training_eval_loss.png"),
    ):
        points = [(row["step"], row[key]) for row in history if key in row]
        figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
        steps, losses = [step for step, _ in points], [loss for _, loss in points]
        if key == "loss":
            axes.plot(steps, losses, color="#9ecae1", linewidth=1, label="as logged")
            axes.plot(steps, smoothed(losses), color="#08519c", linewidth=2, label=f"moving average ({SMOOTHING})")
            axes.legend(frameon=False)
        else:
            axes.plot(steps, losses, color="#08519c", linewidth=2, marker="o")
        axes.set(title=title, xlabel="optimiser step", ylabel="cross-entropy of the answer, nats a token")
        axes.set_ylim(0, 1.08 * max(losses, default=1))
        axes.grid(alpha=0.3)
        figure.savefig(out / name, dpi=120, metadata={"Software": None})
        pyplot.close(figure)
