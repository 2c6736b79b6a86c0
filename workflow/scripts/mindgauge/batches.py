"""Batches for training: rows as token ids, how they are laid out, and what each row's loss weighs.

`packed` lays the rows of a batch one after another, without padding. The beginning that all of them share (template and instruction)
stands once before them, and a mask lets each row see that beginning and itself: the same sums as for single rows, over fewer tokens.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mindgauge.chat import Example

IGNORED = -100  # what PyTorch's cross-entropy leaves out


def rows_of(examples: Sequence[Example], weights: Sequence[float]) -> list[dict[str, Any]]:
    """`input_ids`, `labels` (the answer's; IGNORED elsewhere) and `weight` of each row."""
    return [
        {
            "input_ids": example.prompt + example.completion,
            "labels": [IGNORED] * len(example.prompt) + example.completion,
            "weight": weight,
        }
        for example, weight in zip(examples, weights, strict=True)
    ]


def class_weights(outputs: Sequence[str], label: str, way: str) -> list[float]:
    """What each row's loss weighs, by its value of `label` in its answer (canonical JSON); the mean over the rows is 1.

    `balanced` is n / (classes x n of the class), as scikit-learn's compute_class_weight has it, `sqrt` the root of it, `none` 1.
    """
    if way == "none" or not outputs:
        return [1.0] * len(outputs)
    values = [json.loads(output)[label] for output in outputs]
    counts = Counter(values)
    power = {"balanced": 1.0, "sqrt": 0.5}[way]
    found = [(len(values) / (len(counts) * counts[value])) ** power for value in values]
    mean = sum(found) / len(found)
    return [weight / mean for weight in found]


def shared(rows: Sequence[Sequence[int]], supervised: Sequence[int]) -> int:
    """How many tokens all rows begin with; `supervised` says where each row's answer begins. At least one token of every prompt is
    left to the row, since it predicts the answer's first."""
    most = min(supervised) - 1
    first = rows[0]
    for place in range(most):
        if any(row[place] != first[place] for row in rows):
            return place
    return max(most, 0)


def layout(lengths: Sequence[int], prefix: int) -> tuple[list[int], list[int]]:
    """Of a packed batch: each token's position in its own row, and the number of its row (-1: of the shared beginning)."""
    positions, owners = list(range(prefix)), [-1] * prefix
    for number, length in enumerate(lengths):
        positions += range(prefix, length)
        owners += [number] * (length - prefix)
    return positions, owners


def mask(positions: Any, owners: Any, window: int | None = None) -> Any:
    """Which token sees which, (1, 1, tokens, tokens), True where it does: what comes before it in its row, the shared beginning
    included; with `window` no further back than that many tokens."""
    back = positions[:, None] - positions[None, :]
    sees = ((owners[None, :] == owners[:, None]) | (owners[None, :] == -1)) & (back >= 0)
    return (sees if window is None else sees & (back < window))[None, None]


def packer(config: Any) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """A collator of packed batches for a model of this transformers config: `input_ids`, `labels` and `position_ids`, each
    (1, tokens); `attention_mask`, for a model with sliding windows one of each kind of layer; and of the supervised tokens, each
    (supervised,), `targets`, the `places` that predict them, and their rows' `weights`."""
    import torch

    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    additive = config._attn_implementation == "eager"  # which adds the mask to the scores

    def made(sees: Any) -> Any:
        return torch.where(sees, 0.0, torch.finfo(torch.float32).min) if additive else sees

    def collate(features: list[dict[str, Any]]) -> dict[str, Any]:
        rows = [feature["input_ids"] for feature in features]
        prefix = shared(rows, [next(i for i, x in enumerate(of["labels"]) if x != IGNORED) for of in features])
        positions, owners = (torch.tensor(of) for of in layout([len(row) for row in rows], prefix))
        labels = torch.tensor([IGNORED] * prefix + [i for of in features for i in of["labels"][prefix:]])
        weights = torch.tensor([1.0] * prefix + [of["weight"] for of in features for _ in of["labels"][prefix:]])
        supervised = (labels != IGNORED).nonzero()[:, 0]
        masks = {"full_attention": made(mask(positions, owners))}
        if "sliding_attention" in kinds:
            masks["sliding_attention"] = made(mask(positions, owners, window))
        return {
            "input_ids": torch.tensor([rows[0][:prefix] + [i for row in rows for i in row[prefix:]]]),
            "labels": labels[None],
            "places": supervised - 1,
            "targets": labels[supervised],
            "weights": weights[supervised],
            "position_ids": positions[None],
            "attention_mask": masks if len(masks) > 1 else masks["full_attention"],
        }

    return collate


def computed(lengths: Sequence[int], prefix: int) -> int:
    """Tokens that a packed batch evaluates, for rows of these lengths that share `prefix` tokens."""
    return prefix + sum(length - prefix for length in lengths)
