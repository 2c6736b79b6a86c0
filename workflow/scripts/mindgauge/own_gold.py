"""A finished bundle on people's own gold rows, without any training: asked as it is served, by the template and prompt it carries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgauge import readers
from mindgauge.assessing import Assessor, Bundle
from mindgauge.errors import UserError
from mindgauge.figures import figures
from mindgauge.ingesting import out_of_scheme
from mindgauge.labellers import llama_cpp
from mindgauge.labellers.asking import held_to
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labels import Scheme
from mindgauge.predictions import from_rows
from mindgauge.progress import Progress
from mindgauge.records import Broken, Record

# Rows answered together where a GPU is there to be kept busy.
TOGETHER = 16


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
                instead="labels as bundle.json says",
            )
        found.append(row)
    if not found:
        raise UserError("the gold file holds no row", where=str(path), instead="rows with `text` and labels")
    return found


def _row(record: Record, asked: Asked, answer: Answer) -> dict[str, Any]:
    """A prediction row. What had to be repaired is no valid answer: an app would not have read it."""
    valid = answer.labels if not answer.fault else None
    return {
        "id": asked.id,
        "group": asked.id,
        "source": record.source,
        "themes": [],
        "length": len(asked.text),
        "reference": record.labels,
        "labels": valid,
        "probabilities": answer.probabilities if valid else None,
        "stopped": None,
    }


def _held(bundle: Bundle, asked: list[Asked]) -> Iterator[Answer]:
    """The bundle's answers held to the valid ones. A text that does not fit loses its beginning, as in evaluation."""
    with Assessor(bundle, records=TOGETHER) as assessor:
        yield from held_to(assessor.engine.answer, asked, lambda one: assessor.asking.prompt(one.text, assessor.room))


def _free(bundle: Bundle, asked: list[Asked]) -> Iterator[Answer]:
    """What the model says by itself."""
    return llama_cpp.label(
        iter(asked),
        bundle.scheme,
        path=bundle.weights,
        instruction=bundle.instruction,
        context=bundle.context,
        decoding="free",
        thinking=False,
        max_thought=0,
        temperature=0.0,
        seed=0,
    )


WAYS = {"constrained": _held, "free": _free}


def judge(directory: Path, gold: Path, columns: dict[str, str]) -> dict[str, Any]:
    """way -> figures (result_schema.Figures) of a bundle on the gold rows; each row is a group of its own. Raises UserError for
    what is no bundle, and for gold that cannot be used."""
    bundle = Bundle.load(directory)
    records = gold_rows(gold, bundle.scheme, columns)
    asked = [Asked(f"{number:06d}", bundle.read(record)) for number, record in enumerate(records)]
    found = {}
    for way, answers in WAYS.items():
        given = Progress(answers(bundle, asked), total=len(asked), what=f"rows, {way}")
        rows = [_row(*of) for of in zip(records, asked, given, strict=True)]
        found[way] = figures(from_rows(bundle.scheme, rows, gold.name))
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
