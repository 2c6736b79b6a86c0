"""What the report answers first: which file to deploy, what it misses and how sure that is, what quantising lost.

Every number is read off the figures (figures.figures), the gates and the verification; nothing is decided here that they do
not say.
"""

from collections.abc import Mapping
from typing import Any

from mindgauge.labels import Scheme
from mindgauge.shares import wilson

REFERENCES = ("test", "gold")


def figures_of(metrics: Mapping[str, Any], reference: str, way: str = "constrained") -> dict[str, Any] | None:
    """The figures of one way of answering against the labeller (`test`) or humans (`gold`); None where there are none."""
    record = metrics["results"].get(way, {}).get(reference)
    return record["figures"] if record else None


def misses(scheme: Scheme, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For any risk and for each alarming value, the row's count of `cases`, those `missed` without any alarm (an answer that is
    not valid raises none), those alarmed by `another` value, and the 95 % `interval` of the share missed. `value` is None for any
    risk. A value without a case stands with None as interval."""
    found = []
    if risk := figures["any_risk"]:
        missed = risk["support"] - risk["hits"]
        found.append(_missed("", None, risk["support"], missed, 0))
    for field in scheme.alarms:
        if field.name not in figures["fields"]:
            continue
        of = figures["fields"][field.name]
        values = list(of["values"])
        safe = values.index(field.safe)
        for value, row in zip(values, of["confusion"], strict=True):
            if value == field.safe:
                continue
            # Behind the columns of the values stands one for answers that are not valid.
            silent = row[safe] + sum(row[len(values) :])
            found.append(_missed(field.name, value, sum(row), silent, sum(row) - silent - row[values.index(value)]))
    return found


def _missed(field: str, value: Any, cases: int, missed: int, another: int) -> dict[str, Any]:
    interval = wilson(missed, cases)
    return {"field": field, "value": value, "cases": cases, "missed": missed, "another": another, "interval": interval}


def lost(model: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """What quantising cost a GGUF against the merged model on the test rows: labels `flipped` of `labels`, risk cases `risk_lost` and
    `risk_won` (None where no label raises an alarm), divergence, `size_change` (against the merged model's bytes, -0.66: two thirds smaller;
    None where a size is not known), and `differences`, each figure's with its interval."""
    verified = model["verify"]["variants"][variant]
    flips = verified["flips"] or {}
    pair: Mapping[str, Any] = next(
        (of for of in model["comparison"]["test"] if (of["first"], of["second"]) == ("merged", variant)),
        {"differences": []},
    )
    sizes = [model["variants"].get(name, {}).get("size_bytes") for name in ("merged", variant)]
    return {
        "flipped": sum(of["changed"] for of in flips.values()),
        "labels": sum(of["n"] for of in flips.values()),
        "risk_lost": len(verified["risk"]["lost"]) if verified["risk"] else None,
        "risk_won": len(verified["risk"]["won"]) if verified["risk"] else None,
        "divergence": verified["logits"]["kld"]["mean"],
        "size_change": sizes[1] / sizes[0] - 1 if sizes[0] and sizes[1] else None,
        "differences": pair["differences"],
    }


def candidates(scheme: Scheme, models: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every GGUF, the one to deploy first: those that pass the gates before the others, then by recall of any risk on the test rows,
    then the smaller file. Each with `release`, the `reasons` why not, `recall`, `size`, `misses` by reference and what was `lost`."""
    found = []
    for model, of in models.items():
        for variant in of["verify"]["variants"]:
            metrics, decision = of["variants"].get(variant), of["gates"].get(variant)
            if metrics is None or decision is None:
                continue
            by_reference = {name: figures for name in REFERENCES if (figures := figures_of(metrics, name))}
            risk = by_reference["test"]["any_risk"] if "test" in by_reference else None
            found.append(
                {
                    "model": model,
                    "variant": variant,
                    "release": decision["release"],
                    "reasons": decision["reasons"],
                    "undecided": [check for check in decision["checks"] if check["status"] == "undecided"],
                    "recall": risk["recall"] if risk and risk["support"] else None,
                    "size": metrics["size_bytes"],
                    "sha256": metrics["sha256"],
                    "rows": {name: figures["n"] for name, figures in by_reference.items()},
                    "misses": {name: misses(scheme, figures) for name, figures in by_reference.items()},
                    "lost": lost(of, variant),
                }
            )
    found.sort(key=lambda one: (one["release"] != "pass", -(one["recall"] or 0.0), one["size"] or 0))
    return found
