"""What a run took: hours by device, and, from a price and a power draw of the configuration, money and energy."""

from collections.abc import Mapping
from typing import Any


def _kwh(joules: float | None, training: float, evaluation: float, watts: float | None) -> float | None:
    """Of GPU-hours of training and of evaluation: what the driver counted of the first, the rest by the power draw."""
    counted = None if joules is None else joules / 3.6e6
    guessed = evaluation if counted is not None else training + evaluation
    if watts is None and guessed:
        return None
    return (counted or 0.0) + guessed * (watts or 0.0) / 1000 if counted is not None or watts is not None else None


def effort(
    models: Mapping[str, Any], price_per_gpu_hour: float | None = None, watts_per_gpu: float | None = None
) -> dict[str, Any]:
    """`rows`, one a model: `device`, `training` (seconds), `resumed`, `memory` (peak bytes on the device), `evaluation` (seconds
    over all variants, both ways of answering), `gpu_hours` of both, as far as they ran on GPUs, `cost` and `kwh` of these; and the
    sums of the last three. `cost` is an estimate, None without a price; `kwh` is what the driver counted of the training (run.json,
    `energy_joules`) and for the rest an estimate, None where that needs a power draw and there is none."""
    rows = []
    for name, of in models.items():
        run = of["run"]
        processes = run.get("fit", {}).get("processes", 1)
        training = 0.0 if run["device"] == "cpu" else processes * run["seconds"] / 3600
        asked = {
            variant: (metrics.get("seconds") or 0.0) + (metrics.get("constrained_seconds") or 0.0)
            for variant, metrics in of["variants"].items()
        }
        on_gpu = [variant for variant in asked if of["variants"][variant].get("device", "cpu") != "cpu"]
        evaluation = sum(asked[variant] for variant in on_gpu) / 3600
        hours = training + evaluation
        rows.append(
            {
                "model": name,
                "device": run["device"],
                "training": run["seconds"],
                "resumed": run.get("resumed_from") is not None,
                "memory": run.get("peak_memory_bytes"),
                "evaluation": sum(asked.values()),
                "gpu_hours": hours,
                "cost": None if price_per_gpu_hour is None else hours * price_per_gpu_hour,
                "kwh": _kwh(run.get("energy_joules"), training, evaluation, watts_per_gpu),
            }
        )

    def total(part: str) -> float | None:
        known = [row[part] for row in rows]
        return None if any(value is None for value in known) else sum(known)

    return {"rows": rows, **{part: total(part) for part in ("training", "evaluation", "gpu_hours", "cost", "kwh")}}
