"""A finished bundle on people's own gold rows, without any training: asked as it is served, by the template and prompt it carries."""

from pathlib import Path
from typing import Any

from mindgauge import readers
from mindgauge.errors import UserError
from mindgauge.figures import figures
from mindgauge.ingesting import out_of_scheme
from mindgauge.labellers import llama_cpp
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labels import Scheme
from mindgauge.predictions import from_rows
from mindgauge.progress import Progress
from mindgauge.records import Broken, Record

WAYS = ("constrained", "free")


def gold_rows(path: Path, scheme: Scheme, columns: dict[str, str]) -> list[Record]:
    """The rows of a table of gold (readers/table.py). Raises UserError, naming row and column, for the first that cannot be used,
    and if there is none."""
    names = {name: name for name in scheme.names} | columns
    found = []
    for row in readers.read("table", path, path.stem, "gold", names):
        if isinstance(row, Broken):
            raise UserError(
                f"a row cannot be used: {row.reason}",
                where=f"{row.file}, row {row.line}",
                instead="put it right or take it out",
            )
        wrong = out_of_scheme(row.labels, scheme, names) if row.labels else "no label"
        if wrong:
            raise UserError(
                f"a row cannot be used: {wrong}",
                where=f"{path.name}, {row.key}",
                instead="labels as config/labels.yaml says",
            )
        found.append(row)
    if not found:
        raise UserError("the gold file holds no row", where=str(path), instead="rows with `text` and labels")
    return found


def _row(number: int, record: Record, answer: Answer) -> dict[str, Any]:
    """A prediction row. What had to be repaired is no valid answer: an app would not have read it."""
    valid = answer.labels if not answer.fault else None
    return {
        "id": f"{number:06d}",
        "group": f"{number:06d}",
        "source": record.source,
        "themes": [],
        "length": len(record.words("client")),
        "reference": record.labels,
        "labels": valid,
        "probabilities": answer.probabilities if valid else None,
        "stopped": None,
    }


def assess(bundle: Path, gold: Path, scheme: Scheme, columns: dict[str, str], context: int) -> dict[str, Any]:
    """way -> figures (result_schema.Figures) of the bundle's GGUF on the gold rows; each row is a group of its own. Raises UserError
    for what is no bundle, and for gold that cannot be used."""
    weights = sorted(bundle.glob("*.gguf"))
    if len(weights) != 1 or not (bundle / "prompt.txt").is_file():
        raise UserError(
            "this is no bundle (one .gguf and prompt.txt)",
            where=str(bundle),
            instead="results/models/<model>/bundle/<quant>",
        )
    records = gold_rows(gold, scheme, columns)
    options: dict[str, Any] = {
        "path": weights[0],
        "instruction": (bundle / "prompt.txt").read_text(encoding="utf-8").rstrip("\n"),
        "context": context,
        "thinking": False,
        "max_thought": 0,
        "temperature": 0.0,
        "seed": 0,
    }
    found = {}
    for way in WAYS:
        asked = [Asked(f"{number:06d}", record.words("client")) for number, record in enumerate(records)]
        answers = {
            answer.id: answer
            for answer in Progress(
                llama_cpp.label(iter(asked), scheme, decoding=way, **options), total=len(asked), what=f"rows, {way}"
            )
        }
        rows = [_row(number, record, answers[f"{number:06d}"]) for number, record in enumerate(records)]
        found[way] = figures(from_rows(scheme, rows, gold.name))
    return found


def table(found: dict[str, Any]) -> str:
    """The main figures as text."""
    lines = []
    for way, of in found.items():
        lines.append(
            f"{way}: {of['n']} rows, valid {of['json_valid']:.1%}, all labels right {of['exact_match'] or 0:.1%}"
        )
        for name, field in of["fields"].items():
            interval = of["intervals"].get(f"{name}/macro_f1") or {}
            bounds = f" ({interval['low']:.2f} to {interval['high']:.2f})" if interval.get("low") is not None else ""
            qwk = "" if field.get("qwk") is None else f", QWK {field['qwk']:.2f}, within 1 {field['within1']:.0%}"
            few = ", a value has fewer than 10 cases" if field["few"] else ""
            lines.append(
                f"  {name}: macro-F1 {field['macro_f1']:.2f}{bounds}, accuracy {field['accuracy']:.2f}{qwk}{few}"
            )
        risk = of["any_risk"]
        if risk and risk["support"]:
            low, high = risk["wilson"]
            lines.append(
                f"  any risk: {risk['hits']} of {risk['support']} found ({low:.0%} to {high:.0%}), {risk['false_alarms']} false alarms"
            )
        lines += [f"  {note}" for note in of["notes"]]
    return "\n".join(lines)
