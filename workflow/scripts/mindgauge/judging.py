"""Judging a model: its variants compared in pairs on the same rows, the gates that decide its release, and what its quant gets wrong."""

import json
from pathlib import Path
from typing import Any

from mindgauge import errors_table
from mindgauge.comparisons import compare, corrected
from mindgauge.figures import figures
from mindgauge.files import read_json, read_jsonl, sha256_file, write_json
from mindgauge.gates import Gates, chosen, decide, outcome, verify
from mindgauge.labels import Scheme
from mindgauge.predictions import Predictions, from_rows
from mindgauge.quants import AUTO, FULL
from mindgauge.result_schema import Figures

WAY = "constrained"


def predicted(scheme: Scheme, entry: Path, way: str, name: str) -> Predictions | None:
    """The prediction rows of an evaluation, or None where it has none of this way and set."""
    file = entry / f"predictions/{way}-{name}.jsonl"
    return from_rows(scheme, read_jsonl(file), str(file.name)) if file.is_file() else None


def pairs(full: str, quants: list[str]) -> list[tuple[str, str]]:
    """Which variants are compared: what came before with what came of it."""
    return [
        ("tfidf", "merged"),
        ("base", "merged"),
        ("adapter", "merged"),
        ("merged", full),
        *(("merged", quant) for quant in quants),
    ]


def judge(
    entries: dict[str, Path],
    fidelity: Path,
    out: Path,
    *,
    full: str,
    quants: list[str],
    gates: dict[str, Any],
    labels: dict[str, Any],
    choice: dict[str, Any] | None = None,
) -> None:
    """Writes comparison.json (test and gold -> a list of comparisons, `views` -> each variant on the test rows in the view it is
    trained on and in the other; Holm's correction over each list), gates.json (variant -> what the gates say, on the test rows),
    verify.json (each GGUF against the merged model) and errors.csv (of the first quant, missed risk cases first; no text).

    `entries`: variant -> its evaluation, with the baseline tfidf; `fidelity`: logits.json of the step fidelity;
    `choice`: choice.json of choosing.choose, if a quant is AUTO. Answers held to the valid ones are compared.
    """
    scheme, thresholds = Scheme.from_dict(labels), Gates.model_validate(gates)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("test", "gold"):
        held = {variant: predicted(scheme, entry, WAY, name) for variant, entry in entries.items()}
        compared = [
            {"first": one, "second": other, **compare(first, second)}
            for one, other in pairs(full, quants)
            if (first := held[one]) is not None and (second := held[other]) is not None
        ]
        found[name] = corrected(compared)
    views = []
    for variant in ("merged", *quants):
        ours, others = (predicted(scheme, entries[variant], WAY, name) for name in ("test", "other_view"))
        if ours is not None and others is not None:
            views.append({"first": f"{variant}, own view", "second": f"{variant}, other view", **compare(ours, others)})
    found["views"] = corrected(views)
    write_json(out / "comparison.json", found)
    metrics = {name: read_json(entries[name] / "metrics.json") for name in ("merged", full, *quants)}
    figures_of = {
        name: {way: of["test"]["figures"] for way, of in held["results"].items() if "test" in of}
        for name, held in metrics.items()
    }
    measured = read_json(fidelity)
    verified = {
        name: _verified(
            thresholds,
            figures_of,
            name,
            next((of for of in found["test"] if (of["first"], of["second"]) == ("merged", name)), None),
            measured["variants"][name],
            metrics[name]["token_parity"],
            choice if name == AUTO else None,
        )
        for name in (full, *quants)
    }
    write_json(
        out / "verify.json",
        {"rows": measured["rows"], "tokens": measured["tokens"], "variants": verified},
    )
    decisions = {
        name: decide(thresholds, of, verified[name]["checks"] if name in verified else ())
        for name, of in figures_of.items()
    }
    write_json(out / "gates.json", decisions)
    tested = predicted(scheme, entries[quants[0]], WAY, "test")
    if tested is not None:
        errors_table.write(out / "errors.csv", tested)


def _verified(
    gates: Gates,
    figures_of: dict[str, Any],
    name: str,
    comparison: dict[str, Any] | None,
    measured: dict[str, Any],
    parity: float | None,
    choice: dict[str, Any] | None,
) -> dict[str, Any]:
    """What verify.json says of a GGUF."""
    free, merged_free = figures_of[name].get("free"), figures_of["merged"].get("free")
    checks = verify(gates, free, merged_free, comparison, measured, parity, full=name if name in FULL else None)
    if choice:
        checks.append(chosen(choice))
    return {
        "gate": outcome(gates, checks),
        "reasons": [check["reason"] for check in checks if check["status"] != "pass"],
        "choice": choice,
        "token_parity": parity,
        "logits": measured,
        "flips": comparison["flips"] if comparison else None,
        "risk": comparison["risk"] if comparison else None,
        "free": {
            who: {key: of[key] for key in ("n", "valid", "stopped")} if of else None
            for who, of in (("merged", merged_free), (name, free))
        },
        "checks": checks,
    }


def _dumped(found: dict[str, Any]) -> dict[str, Any]:
    """Figures as a record holds them."""
    return Figures.model_validate(found).model_dump(mode="json")


def again(scheme: Scheme, entry: Path) -> list[str]:
    """Computes every figure of an evaluation again from its prediction rows: which way and set differ from their records, or from
    the sha256 of the rows that they name; empty if none does."""
    differing = []
    for way, of in read_json(entry / "metrics.json")["results"].items():
        val = predicted(scheme, entry, way, "val")
        for name, record in of.items():
            file = entry / record["predictions"]
            if not file.is_file() or sha256_file(file) != record["predictions_sha256"]:
                differing.append(f"{way}, {name}: the prediction rows are not those of the record")
                continue
            held = predicted(scheme, entry, way, name)
            options = {option: record["settings"][option] for option in ("urgent", "false_alarm_rate", "seed")}
            if held is None or _dumped(figures(held, val, **options)) != record["figures"]:
                differing.append(f"{way}, {name}: the figures are others")
    return differing


def table(comparison: dict[str, Any]) -> str:
    """A comparison as text, for a terminal."""
    lines = [
        f"{comparison['n']} rows in {comparison['groups']} split groups; second minus first, 95 % interval, p (Holm)"
    ]
    for of in comparison["differences"]:
        if of["difference"] is None:
            lines.append(f"  {of['what']}: not defined on these rows")
            continue
        bounds = "no interval" if of["low"] is None else f"{of['low']:+.3f} to {of['high']:+.3f}"
        p = "–" if of["p_holm"] is None else f"{of['p_holm']:.3g}"
        lines.append(
            f"  {of['what']}: {of['first']:.3f} -> {of['second']:.3f}, {of['difference']:+.3f} ({bounds}), p {p}"
        )
    for of in comparison["tests"]:
        lines.append(
            f"  {of['what']}: right in the first alone {of['only_first']}, in the second alone {of['only_second']}, exact McNemar p {of['p_holm']:.3g}"
        )
    risk = comparison["risk"]
    if risk:
        lines.append(
            f"  risk cases: {risk['support']}; lost {json.dumps(risk['lost'])}, won {json.dumps(risk['won'])}; new false alarms {len(risk['new_false_alarms'])}"
        )
    return "\n".join(lines)
