"""How far the figures of one recipe differ from seed to seed: a difference between models that is smaller says nothing."""

import statistics
from collections.abc import Mapping
from typing import Any


def headline(figures: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures (figures.figures) whose spread is told: of each label macro-F1 and, where it is ordinal, QWK; exact match; recall
    of any risk. None where there is none."""
    found: dict[str, float | None] = {}
    for name, of in figures["fields"].items():
        found |= {f"{name}/{figure}": of[figure] for figure in ("macro_f1", "qwk") if figure in of}
    found["exact_match"] = figures["exact_match"]
    found["any_risk/recall"] = figures["any_risk"]["recall"] if figures["any_risk"] else None
    return found


def spread(by_seed: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Headline figure -> `values` (seed -> figure), and over the seeds that have it `n`, `mean`, `sd` (sample standard deviation,
    n - 1; None for one), `low` and `high` (least and greatest; None, too, where no seed has it)."""
    held = {seed: headline(figures) for seed, figures in by_seed.items()}
    found = {}
    for name in dict.fromkeys(name for of in held.values() for name in of):
        values = {str(seed): of.get(name) for seed, of in held.items()}
        known = [value for value in values.values() if value is not None]
        found[name] = {
            "values": values,
            "n": len(known),
            "mean": round(statistics.fmean(known), 4) if known else None,
            "sd": round(statistics.stdev(known), 4) if len(known) > 1 else None,
            "low": min(known, default=None),
            "high": max(known, default=None),
        }
    return found
