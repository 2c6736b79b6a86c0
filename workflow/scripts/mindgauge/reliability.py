"""The reliability plot: how often what a model is so sure of is right."""

import io
from typing import Any

from mindgauge.labels import Scheme


def plot(scheme: Scheme, calibrated: dict[str, Any]) -> bytes:
    """A PNG with a panel for each label and one for any risk: per bin of equal mass the accuracy (of any risk: the share of cases)
    over the mean probability, before and after the temperature; the diagonal is perfect calibration; open marks have few rows.

    `calibrated`: figures["calibration"] (calibration.before_and_after).
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    before, after = calibrated["before"], calibrated["after"]
    panels = [(field.title, field.name) for field in scheme.fields if before["fields"].get(field.name)]
    panels += [("Any risk", "")] if before["any_risk"] else []
    figure, grid = pyplot.subplots(
        1, len(panels), figsize=(3.1 * len(panels), 3.5), layout="constrained", squeeze=False
    )
    # Marks differ in shape as well as in colour.
    kinds = (
        ("as the model gives them", before, "#08519c", "o", "-"),
        ("after temperature", after, "#d95f02", "s", "--"),
    )
    for axes, (title, name) in zip(grid[0], panels, strict=True):
        axes.plot([0, 1], [0, 1], color="#8a97a3", linewidth=1)
        for label, of, colour, marker, line in kinds:
            held = of and (of["fields"].get(name) if name else of["any_risk"])
            if not held:
                continue
            bins = held["reliability"]
            x, y = ([part[key] for part in bins] for key in ("confidence", "accuracy"))
            axes.plot(x, y, line, color=colour, linewidth=1.2, label=label)
            for part in bins:
                face = "white" if part["few"] else colour
                axes.plot(
                    part["confidence"], part["accuracy"], marker, color=colour, markerfacecolor=face, markersize=5
                )
        shown = before["fields"][name] if name else before["any_risk"]
        axes.set(
            title=f"{title}\nECE {shown['ece']:.3f}, n = {shown['n']}",
            xlabel="mean probability" if name == "" else "mean confidence",
            ylabel="share of cases" if name == "" else "share right",
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
        )
        axes.grid(alpha=0.3)
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    held_bytes = io.BytesIO()
    figure.savefig(held_bytes, dpi=120, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
    return held_bytes.getvalue()
