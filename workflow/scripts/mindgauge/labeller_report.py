"""How good the labeller is: its labels against those of humans, on the gold rows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.metrics import precision_recall_fscore_support

from mindgauge import metrics
from mindgauge.labels import Scheme, Value


@dataclass(frozen=True, slots=True)
class Compared:
    """A gold row: what the labeller says (None: no valid answer), and what humans say of it, on all or some of the labels.
    `probability` is the chance with which it was drawn for an audit sheet; 1 where all were taken."""

    source: str
    answer: Mapping[str, Value] | None
    gold: Mapping[str, Value]
    probability: float = 1.0


def _corpus(values: Sequence[Value], name: str, rows: Sequence[Compared]) -> dict[str, Any]:
    """Per value precision and recall as they would be on the whole corpus: each row weighs 1 / its probability (D. G. Horvitz
    and D. J. Thompson 1952). Of a sample stratified by the labeller's own answers the plain recall is far too high, since
    what it missed lies in the stratum that was thinned most. `n_effective` is L. Kish's (1965): (sum w)^2 / sum w^2."""
    weights = [1 / row.probability for row in rows]
    expected = [list(values).index(row.gold[name]) for row in rows]
    given = [len(values) if row.answer is None else list(values).index(row.answer[name]) for row in rows]
    precision, recall, _, _ = precision_recall_fscore_support(
        expected, given, labels=range(len(values)), sample_weight=weights, zero_division=0
    )
    return {
        "n_effective": round(sum(weights) ** 2 / sum(weight**2 for weight in weights), 1),
        "per_value": {
            str(value): {"precision": round(float(precision[place]), 4), "recall": round(float(recall[place]), 4)}
            for place, value in enumerate(values)
        },
    }


def _any_risk(scheme: Scheme, rows: Sequence[Compared]) -> dict[str, Any] | None:
    """metrics.any_alarm on the rows whose gold has every alarm label; and the recall as of the corpus, see `_corpus`."""
    of = [row for row in rows if all(field.name in row.gold for field in scheme.alarms)]
    if not of:
        return None
    answers = [None if row.answer is None else dict(row.answer) for row in of]
    found = metrics.any_alarm(scheme, answers, [dict(row.gold) for row in of])
    if found is not None and any(row.probability < 1 for row in of):
        real = [row for row in of if metrics.raises_alarm(scheme.alarms, row.gold)]
        whole = sum(1 / row.probability for row in real)
        hits = sum(1 / row.probability for row in real if metrics.raises_alarm(scheme.alarms, row.answer))
        found["corpus"] = {
            "recall": round(hits / whole, 4) if real else None,
            "miss_rate": round(1 - hits / whole, 4) if real else None,
        }
    return found


def _group(scheme: Scheme, rows: Sequence[Compared]) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(rows), "valid": sum(row.answer is not None for row in rows), "fields": {}}
    for field in scheme.fields:
        # Each label on the rows that have it: a sheet may be filled in part.
        of = [row for row in rows if field.name in row.gold]
        if not of:
            continue
        answers = [None if row.answer is None else dict(row.answer) for row in of]
        figures = metrics.field_metrics(field, answers, [dict(row.gold) for row in of])
        found["fields"][field.name] = {"n": len(of), **figures}
        if any(row.probability < 1 for row in of):
            found["fields"][field.name]["corpus"] = _corpus(field.values, field.name, of)
    found["any_risk"] = _any_risk(scheme, rows)
    return found


def report(scheme: Scheme, rows: Sequence[Compared]) -> dict[str, Any]:
    """The figures of the labeller against humans, ready for strict JSON: `n`, `valid`, `fields`, `any_risk`, and by `sources` the
    same.

    `fields.<label>` is what metrics.field_metrics gives (per value precision and recall with counts and Wilson intervals,
    confusion, and of ordinal labels QWK, MAE, within-1) on the `n` rows whose gold has the label; `any_risk` what
    metrics.any_alarm gives. An answer that is not valid counts as wrong, never as missing. Where rows were drawn with unequal
    chances (an audit sheet), `corpus` below a label and below `any_risk` holds precision and recall as of the corpus.
    """
    by_source: dict[str, list[Compared]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    return {
        "reference": "human",
        **_group(scheme, rows),
        "sources": {source: _group(scheme, of) for source, of in sorted(by_source.items())},
    }
