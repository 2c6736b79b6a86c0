"""The table of wrong answers for review: ids, labels and probabilities, missed risk first. It holds no text."""

from pathlib import Path
from typing import Any

import numpy as np

from mindgauge.alarms import any_alarm_collapse, collapsed
from mindgauge.files import write_text
from mindgauge.labels import Scheme
from mindgauge.predictions import MISSING, Floats, Predictions
from mindgauge.spreadsheets import csv_text, sheet_id

KINDS = ("missed risk", "false alarm", "other")


def columns(scheme: Scheme) -> list[str]:
    """The columns of the table: id, source, kind, the wrong labels, and four of each label."""
    parts = ("reference", "given", "p_given", "p_reference")
    return ["id", "source", "kind", "wrong", *(f"{name}_{part}" for name in scheme.names for part in parts)]


def _digits(shares: Floats | None, place: int) -> float | None:
    return None if shares is None else round(float(shares[place]), 4)


def errors(predictions: Predictions) -> list[dict[str, Any]]:
    """A row for each answer with a wrong label, keys as in `columns`; None where there is nothing to say.

    `kind`: `missed risk` (the reference raises an alarm, the answer none), `false alarm` (the other way round), `other`
    (a wrong class of risk is that too). `wrong`: the labels that differ from the reference, joined by a blank, all that
    the reference has where the answer cannot be parsed. `<label>_p_given` and `<label>_p_reference`: probabilities of
    the two values. Missed risk stands first, in it what the model was surest of (the least probability of an alarm);
    then false alarms, the likeliest first; then the rest by how many labels are wrong; then by id.
    """
    scheme = predictions.scheme
    kind = np.full(len(predictions), KINDS.index("other"))
    doubt = np.full(len(predictions), 0.5)
    cases = collapsed(predictions, any_alarm_collapse(scheme))
    if cases is not None:
        kind[cases.rows[cases.real & ~cases.found]] = KINDS.index("missed risk")
        kind[cases.rows[~cases.real & cases.found]] = KINDS.index("false alarm")
        if cases.score is not None:
            doubt[cases.rows] = np.nan_to_num(cases.score, nan=0.5)
    found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    for row in range(len(predictions)):
        line: dict[str, Any] = {
            "id": str(predictions.ids[row]),
            "source": str(predictions.sources[row]),
            "kind": KINDS[kind[row]],
        }
        wrong: list[str] = []
        cells: dict[str, Any] = {}
        for field in scheme.fields:
            real = int(predictions.expected[field.name][row]) if field.name in predictions.expected else MISSING
            given = int(predictions.given[field.name][row])
            parsed = given < len(field.values)
            if real not in (MISSING, given):
                wrong.append(field.name)
            table = predictions.probabilities.get(field.name)
            shares = table[row] if table is not None and not np.isnan(table[row]).any() else None
            cells |= {
                f"{field.name}_reference": field.values[real] if real != MISSING else None,
                f"{field.name}_given": field.values[given] if parsed else None,
                f"{field.name}_p_given": _digits(shares, given) if parsed else None,
                f"{field.name}_p_reference": _digits(shares, real) if real != MISSING else None,
            }
        if not wrong:
            continue
        surest = doubt[row] if line["kind"] == "missed risk" else -doubt[row] if line["kind"] == "false alarm" else 0.0
        order = (int(kind[row]), float(surest), -len(wrong), line["id"])
        found.append((order, {**line, "wrong": " ".join(wrong), **cells}))
    return [line for _, line in sorted(found, key=lambda pair: pair[0])]


def write(path: Path, predictions: Predictions) -> int:
    """Writes the table as CSV for spreadsheets (ids as `id-…`, empty cells where there is nothing) and returns how many
    rows it has."""
    rows = errors(predictions)
    heading = columns(predictions.scheme)
    cells = ([sheet_id(row["id"]) if name == "id" else row[name] for name in heading] for row in rows)
    write_text(path, csv_text(heading, cells))
    return len(rows)
