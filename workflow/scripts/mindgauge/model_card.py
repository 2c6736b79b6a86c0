"""The model card of a bundle: a YAML header that the hub reads, figures with their intervals, limits of use."""

from typing import Any

from mindgauge.gates import said
from mindgauge.labels import Scheme
from mindgauge.limits import LIMITS
from mindgauge.shares import FEW
from mindgauge.views import NAMES

# What the model reads, by the view it was trained on.
READS = {
    "client": "what the student says, a line a turn,",
    "dialogue": f"the dialogue, a line a turn with who speaks ({'：, '.join(NAMES.values())}：),",
}

# Title of a figure, by its name in the records; the first of a label stands in the header too.
FIGURES = {"macro_f1": "macro-F1", "accuracy": "accuracy", "qwk": "QWK", "within1": "within 1"}
# Against whom, and how the hub calls such a set.
REFERENCES = {
    "test": ("held-out test rows, labelled by the labeller", "mindgauge-test"),
    "gold": ("gold rows, labelled by people", "mindgauge-gold"),
}


def _bounds(of: dict[str, Any] | None) -> str:
    """An interval in words; empty where there is none."""
    return "" if of is None or of["low"] is None else f"{of['low']:.3f} to {of['high']:.3f}"


def _table(metrics: dict[str, Any], scheme: Scheme) -> str:
    """A line a label, each figure with its 95 % interval under it."""
    lines = [f"| label | {' | '.join(FIGURES.values())} |", "|---" * (len(FIGURES) + 1) + "|"]
    for name in (name for name in scheme.names if name in metrics["fields"]):
        field = metrics["fields"][name]
        cells = []
        for key in FIGURES:
            bounds = _bounds(metrics["intervals"].get(f"{name}/{key}"))
            cells.append("–" if field.get(key) is None else f"{field[key]:.3f}" + (f" ({bounds})" if bounds else ""))
        lines.append(f"| {name}{' *' if field['few'] else ''} | {' | '.join(cells)} |")
    lines.append("\nIn brackets the 95 % interval, drawn by split group." + _few(metrics))
    risk = metrics.get("any_risk")
    if risk and risk["support"]:
        low, high = risk["wilson"]
        few = f"; fewer than {FEW} cases, so this says little" if risk["support"] < FEW else ""
        lines.append(
            f"\nOf {risk['support']} rows with any risk it flags {risk['recall']:.0%} (95 % interval {low:.0%} to {high:.0%}{few})."
        )
    if metrics["exact_match"] is not None:
        lines.append(f"\nAll labels right: {metrics['exact_match']:.1%} of {metrics['n']} rows.")
    return "\n".join(lines)


def _few(metrics: dict[str, Any]) -> str:
    few = any(field["few"] for field in metrics["fields"].values())
    return f" * a value of it has fewer than {FEW} cases: its macro-F1 says little." if few else ""


def _results(metrics: dict[str, Any], scheme: Scheme, reference: str) -> list[Any]:
    """The figures as the hub's header has them."""
    from huggingface_hub import EvalResult

    name, kind = REFERENCES[reference]
    found = []
    for label in scheme.names:
        value = metrics["fields"].get(label, {}).get("macro_f1")
        if value is None:
            continue
        bounds = _bounds(metrics["intervals"].get(f"{label}/macro_f1"))
        found.append((f"macro-F1 of {label}", "f1", value, bounds))
    risk = metrics.get("any_risk")
    if risk and risk["support"]:
        found.append(
            ("share of rows with any risk found", "recall", risk["recall"], "{:.3f} to {:.3f}".format(*risk["wilson"]))
        )
    return [
        EvalResult(
            task_type="text-classification",
            dataset_name=f"{name} (n = {metrics['n']})",
            dataset_type=kind,
            metric_type=metric,
            metric_value=round(value, 4),
            metric_name=title + (f" (95 % interval {bounds})" if bounds else ""),
        )
        for title, metric, value, bounds in found
    ]


def _header(model: str, stanza: dict[str, Any], sources: dict[str, Any], results: list[Any]) -> str:
    """The YAML header (format: hub-docs, modelcard.md)."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        language="zh",
        license="other",
        license_name=stanza["licence"],
        base_model=stanza["hub"],
        datasets=list(sources),
        library_name="gguf",
        pipeline_tag="text-generation",
        tags=["screening", "mental-health", "gguf"],
        model_name=model,
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---"


def card(
    model: str,
    quant: str,
    stanza: dict[str, Any],
    sources: dict[str, Any],
    metrics: dict[str, Any],
    decision: dict[str, Any],
    scheme: Scheme,
    notice: str,
    view: str,
) -> str:
    """The card. `metrics`: metrics.json of the quant's evaluation; `decision`: what the gates say of it; `sources` those it was trained
    on; `view` what it was trained to read."""
    held = {name: of["figures"] for name, of in metrics["results"]["constrained"].items() if name in REFERENCES}
    free = metrics["results"]["free"]["test"]["figures"]
    gold = held.get("gold")
    results = [of for name, figures in held.items() for of in _results(figures, scheme, name)]
    parts = [
        _header(f"{model} ({quant})", stanza, sources, results),
        f"# {model} ({quant})",
        f"**{notice}**" if notice else "",
        "**Its gates say fail: not to be used with people. It was bundled by name all the same.**"
        if decision["release"] == "fail"
        else "",
        "Reads what a student says and answers with one line of JSON: " + ", ".join(scheme.names) + ".",
        "## Limits of use\n" + LIMITS,
        "## Release\nBy the gates of its makers, " + said(decision) + ".",
        f"## Agreement with the labeller, on {held['test']['n']} held-out rows\nAnswers held to exactly the valid ones; without the grammar {free['json_valid']:.1%} are valid JSON in range.\n\n"
        + _table(held["test"], scheme),
        f"## Agreement with human labels, on {gold['n']} gold rows\n" + _table(gold, scheme) if gold else "",
        f"## How to ask\nThe prompt is `prompt.txt`, one line end, and {READS[view]} as one user turn in `chat_template.jinja`. "
        "Greedy decoding; `grammar.gbnf` allows exactly the valid answers, `schema.json` describes them, `Modelfile` is for Ollama. "
        "In a clone of MindGauge: `python workflow/scripts/assess.py --model <this directory>`, which reads `bundle.json`.",
        "## Data and licences\nTrained on: "
        + "; ".join(f"{name} ({of['licence']})" for name, of in sources.items())
        + ". Their notices are in NOTICES.md.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
