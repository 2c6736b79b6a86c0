"""How near the held-out rows come to the training rows: the nearest training neighbour of each, by exact Jaccard similarity of
character shingles."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mindgauge.parallel import in_batches
from mindgauge.progress import Progress
from mindgauge.shingles import shingles

# Shingles are folded into so many columns; a clash makes two texts look more alike, never less.
COLUMNS = 1 << 22
MOST, BLOCK = 1000, 4096
NEAR = 0.5


def _matrix(texts: list[str]) -> tuple[csr_array, npt.NDArray[np.int64]]:
    """Which shingles stand in which text (n x COLUMNS), and how many."""
    rows = [np.unique(shingles(text) % np.uint64(COLUMNS)).astype(np.int64) for text in texts]
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    indices = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    ends = np.r_[0, np.cumsum(sizes)]
    return csr_array((np.ones(len(indices), dtype=np.int32), indices, ends), shape=(len(texts), COLUMNS)), sizes


def _sampled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MOST rows, the same every time."""
    return sorted(rows, key=lambda row: hashlib.sha256(str(row["id"]).encode()).hexdigest())[:MOST]


def leak_report(train: list[dict[str, Any]], held_out: list[dict[str, Any]]) -> dict[str, Any]:
    """Percentiles of the similarity of each held-out row to its nearest training row, how many reach NEAR, and the ids of the
    nearest pairs. Of many rows a sample is looked at; `rows` says how many."""
    asked = _sampled(held_out)
    if not asked or not train:
        return {"rows": 0}
    matrix, sizes = _matrix([row["input"] for row in asked])
    best, nearest = np.zeros(len(asked)), np.zeros(len(asked), dtype=np.int64)
    seen = 0

    def blocks() -> Iterator[list[str]]:
        yield from in_batches(Progress([row["input"] for row in train], what="training rows compared"), BLOCK)

    for texts in blocks():
        other, counts = _matrix(texts)
        common = (matrix @ other.T).toarray()
        similarity = common / (sizes[:, None] + counts[None, :] - common)
        at = similarity.argmax(axis=1)
        value = similarity[np.arange(len(asked)), at]
        better = value > best
        best[better], nearest[better] = value[better], at[better] + seen
        seen += len(texts)
    order = np.argsort(-best)[:5]
    return {
        "rows": len(asked),
        "of": len(held_out),
        "median": round(float(np.median(best)), 4),
        "p90": round(float(np.percentile(best, 90)), 4),
        "p99": round(float(np.percentile(best, 99)), 4),
        "max": round(float(best.max()), 4),
        "near": int((best >= NEAR).sum()),
        "near_from": NEAR,
        "nearest": [
            {"id": asked[row]["id"], "train": train[nearest[row]]["id"], "similarity": round(float(best[row]), 4)}
            for row in order
        ],
    }
