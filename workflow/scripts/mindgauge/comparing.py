"""The plain baselines, on the same rows: majority, keyword rules, and character TF-IDF with a linear model."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mindgauge import evaluating, keywords
from mindgauge.files import read_jsonl, write_json, write_jsonl
from mindgauge.labels import Scheme
from mindgauge.metrics import Labels


def majority(train: list[dict[str, Any]], scheme: Scheme, texts: list[str]) -> list[Labels]:
    """The commonest value of each label in the training rows, for every text."""
    outputs = [json.loads(row["output"]) for row in train]
    common = {name: Counter(output[name] for output in outputs).most_common(1)[0][0] for name in scheme.names}
    return [common] * len(texts)


def keyword_rules(train: list[dict[str, Any]], scheme: Scheme, texts: list[str]) -> list[Labels]:
    """What the keyword rules say (where they are the labeller, they agree with it by construction)."""
    keywords.check(scheme)
    return [keywords.label(text).labels for text in texts]


def tfidf(train: list[dict[str, Any]], scheme: Scheme, texts: list[str]) -> list[Labels]:
    """Character 1- to 4-grams, TF-IDF, and a logistic regression a label (scikit-learn), classes weighted by rarity."""
    inputs, outputs = [row["input"] for row in train], [json.loads(row["output"]) for row in train]
    columns: dict[str, list[Any]] = {}
    for field in scheme.fields:
        targets = [field.values.index(output[field.name]) for output in outputs]
        linear = (
            LogisticRegression(C=10, max_iter=2000, class_weight="balanced")
            if len(set(targets)) > 1
            else DummyClassifier()
        )
        model = make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, min_df=2), linear)
        columns[field.name] = (
            [field.values[place] for place in model.fit(inputs, targets).predict(texts)] if texts else []
        )
    return [{name: columns[name][number] for name in scheme.names} for number in range(len(texts))]


BASELINES = {"majority": majority, "keywords": keyword_rules, "tfidf": tfidf}


def compare(sft: Path, out: Path, labels: dict[str, Any]) -> None:
    """Writes <baseline>.json, in the shape of metrics.json, and predictions-<baseline>.jsonl."""
    scheme = Scheme.from_dict(labels)
    train = list(read_jsonl(sft / "train.jsonl"))
    rows = evaluating.held_out(sft)
    for name, baseline in BASELINES.items():
        if name == "keywords" and scheme.names != keywords.NAMES:
            continue
        answers: dict[str, list[Any]] = {of: baseline(train, scheme, [row["input"] for row in rows[of]]) for of in rows}
        write_jsonl(out / f"predictions-{name}.jsonl", evaluating.predictions(rows, answers, None))
        write_json(
            out / f"{name}.json", {"model": None, "variant": name, **evaluating.report(scheme, rows, answers, None)}
        )
