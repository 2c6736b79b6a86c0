"""What a run took: hours by device, and, from a price and a power draw of the configuration, money and energy."""

from collections.abc import Mapping
from typing import Any


def effort(
    models: Mapping[str, Any], price_per_gpu_hour: float | None = None, watts_per_gpu: float | None = None
) -> dict[str, Any]:
    """`rows`, one a model: `device`, `training` (seconds), `resumed`, `memory` (peak bytes on the device), `evaluation` (seconds
    over all variants), `gpu_hours` of the training (0 on a CPU), `cost` and `kwh`; and the sums of the last three. `cost` and `kwh` are estimates, None where the
    configuration gives no price or no power draw."""
    rows = []
    for name, of in models.items():
        run = of["run"]
        hours = 0.0 if run["device"] == "cpu" else run["seconds"] / 3600
        rows.append(
            {
                "model": name,
                "device": run["device"],
                "training": run["seconds"],
                "resumed": run.get("resumed_from") is not None,
                "memory": run.get("peak_memory_bytes"),
                "evaluation": sum(metrics.get("seconds") or 0.0 for metrics in of["variants"].values()),
                "gpu_hours": hours,
                "cost": None if price_per_gpu_hour is None else hours * price_per_gpu_hour,
                "kwh": None if watts_per_gpu is None else hours * watts_per_gpu / 1000,
            }
        )

    def total(part: str) -> float | None:
        known = [row[part] for row in rows]
        return None if any(value is None for value in known) else sum(known)

    return {"rows": rows, **{part: total(part) for part in ("training", "evaluation", "gpu_hours", "cost", "kwh")}}
