"""The plain baselines, on the same rows: majority, keyword rules, character TF-IDF with a linear model; and the labeller itself,
on the rows that humans labelled."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from mindgauge import keywords
from mindgauge.evaluating import DIGITS, Answered, Given, Made, held_out, records
from mindgauge.files import read_jsonl, write_json
from mindgauge.labels import Scheme

Rows = list[dict[str, Any]]
# Inverse regularisation tried for TF-IDF; what does best on val is taken.
GRID = (0.3, 1.0, 10.0, 100.0)


def majority(scheme: Scheme, train: Rows, rows: dict[str, Rows]) -> Given:
    """The commonest value of each label in the training rows, for every text; its share there is the probability."""
    outputs = [json.loads(row["output"]) for row in train]
    counts = {name: Counter(output[name] for output in outputs) for name in scheme.names}
    common = {name: of.most_common(1)[0][0] for name, of in counts.items()}
    shares = {
        field.name: {str(value): round(counts[field.name][value] / len(outputs), DIGITS) for value in field.values}
        for field in scheme.fields
    }
    return {name: {"constrained": [Answered(common, shares)] * len(of)} for name, of in rows.items()}


def keyword_rules(scheme: Scheme, train: Rows, rows: dict[str, Rows]) -> Given:
    """What the keyword rules say (where they are the labeller, they agree with it by construction)."""
    keywords.check(scheme)
    return {
        name: {"constrained": [Answered(dict(keywords.label(row["input"]).labels)) for row in of]}
        for name, of in rows.items()
    }


def tfidf(scheme: Scheme, train: Rows, rows: dict[str, Rows]) -> Given:
    """Character 1- to 4-grams, TF-IDF, and a logistic regression a label (scikit-learn), classes weighted by rarity; how strongly
    it is regularised is chosen on val, by macro-F1."""
    inputs, outputs = [row["input"] for row in train], [json.loads(row["output"]) for row in train]
    texts = {name: [row["input"] for row in of] for name, of in rows.items()}
    expected = [json.loads(row["output"]) for row in rows["val"]]
    found: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
        name: [({}, {}) for _ in of] for name, of in rows.items()
    }
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    matrix = vectors.fit_transform(inputs)
    asked = {name: vectors.transform(of) for name, of in texts.items() if of}
    for field in scheme.fields:
        targets = [field.values.index(output[field.name]) for output in outputs]
        if len(set(targets)) > 1:
            tried = [
                LogisticRegression(C=c, max_iter=2000, class_weight="balanced").fit(matrix, targets)
                for c in (GRID if expected else (10.0,))
            ]
        else:
            tried = [DummyClassifier().fit(matrix, targets)]
        wanted = [field.values.index(output[field.name]) for output in expected]
        best = (
            max(
                tried, key=lambda model: f1_score(wanted, model.predict(asked["val"]), average="macro", zero_division=0)
            )
            if len(tried) > 1
            else tried[0]
        )
        for name, of in asked.items():
            shares = best.predict_proba(of)
            for number, row in enumerate(shares):
                given = {str(value): 0.0 for value in field.values}
                given |= {
                    str(field.values[place]): round(float(p), DIGITS)
                    for place, p in zip(best.classes_, row, strict=True)
                }
                found[name][number][0][field.name] = field.values[best.classes_[row.argmax()]]
                found[name][number][1][field.name] = given
    return {name: {"constrained": [Answered(*pair) for pair in of]} for name, of in found.items()}


BASELINES = {"majority": majority, "keywords": keyword_rules, "tfidf": tfidf}


def labeller(rows: dict[str, Rows], decided: Path) -> Given:
    """What the labeller says of the gold rows: no model taught by it can be better founded. A row without a decision is wrong."""
    held = {row["id"]: row["labels"] for row in read_jsonl(decided)}
    return {"gold": {"constrained": [Answered(held.get(row["id"])) for row in rows["gold"]]}}


def compare(
    sft: Path, decided: Path, out: Path, *, false_alarms: float, urgent: list[str], labels: dict[str, Any]
) -> None:
    """Writes <baseline>/metrics.json and predictions, in the shape of a variant's; `labeller` where there is gold."""
    scheme = Scheme.from_dict(labels)
    train = list(read_jsonl(sft / "train.jsonl"))
    rows = held_out(sft)
    given: dict[str, Given] = {
        name: baseline(scheme, train, rows)
        for name, baseline in BASELINES.items()
        if name != "keywords" or scheme.names == keywords.NAMES
    }
    if rows["gold"]:
        given["labeller"] = labeller(rows, decided)
    for name, of in given.items():
        made = Made(None, name, "baselines")
        results = records(scheme, rows, of, out / name, made, {"urgent": urgent, "false_alarms": false_alarms})
        write_json(out / name / "metrics.json", {"model": None, "variant": name, "results": results})
