"""What the importance matrix does to quants: each one with and without it, against the f16 GGUF, on rows it never saw.

    make demo
    PYTHONPATH=workflow/scripts OMP_NUM_THREADS=1 python tests/benchmarks/imatrix.py
    PYTHONPATH=workflow/scripts python tests/benchmarks/imatrix.py --results results --overlays my.yaml --models qwen3-0.6b

Prints, for every model and quant: Kullback-Leibler divergence of the next-token distributions from f16's, over the tokens of
the answer (what the model is for) and over those of the prompt; the share of tokens with the same likeliest next one; and of the
answers held to the valid ones how many rows, and how many labels in them, differ from f16's.
"""

import argparse
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mindgauge import fidelity, imatrix, inference, quantising
from mindgauge.chat import Chat, Example
from mindgauge.config import Settings, overlaid
from mindgauge.files import read_json, read_jsonl
from mindgauge.labels import Scheme

QUANTS = ("Q2_K", "Q3_K_M", "Q4_0", "IQ4_XS", "Q4_K_M", "Q5_K_M")


class Compared:
    """Divergence and likeliest tokens of a quant against f16, over the tokens of answers and of prompts."""

    def __init__(self, f16: Path, quant: Path, examples: list[Example]) -> None:
        rows = [example.prompt + example.completion for example in examples]
        found: dict[str, list[np.ndarray]] = {"answer": [], "prompt": []}
        models = (fidelity.of_gguf(path, rows, 1) for path in (f16, quant))
        for example, one, other in zip(examples, *models, strict=True):
            each = np.stack([fidelity.divergence(one, other), one.argmax(axis=-1) == other.argmax(axis=-1)])
            at = len(example.prompt) - 1  # the last token of the prompt is asked for the first one of the answer
            found["prompt"].append(each[:, :at])
            found["answer"].append(each[:, at:])
        self.tokens = {part: np.concatenate(of, axis=1) for part, of in found.items()}

    def cells(self, part: str) -> list[str]:
        """Mean, median, 99 % of the divergence, and the share of the same likeliest token."""
        divergence, same = self.tokens[part]
        figures = (divergence.mean(), np.median(divergence), np.quantile(divergence, 0.99))
        return [*(f"{figure:.5f}" for figure in figures), f"{100 * same.mean():.1f} %"]


def compare(
    name: str, merged: Path, f16: Path, sft: Path, options: dict[str, Any], scheme: Scheme, arguments: Any
) -> None:
    """Prints the lines of one model."""
    chat = Chat.load(merged, options["template"], options["family"])
    context = options["context"]
    rows = [row for of in arguments.sets for row in read_jsonl(sft / f"{of}.jsonl")][: arguments.most]
    examples = [chat.example(row, context) for row in rows]
    asked = inference.prompts(chat, rows, context - 64)

    def labels(path: Path) -> list[dict[str, Any]]:
        return [
            choice.labels for choice in inference.held_gguf(chat, path, asked, scheme, context, 16, arguments.threads)
        ]

    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        imatrix.make(merged, sft / "train.jsonl", place, **options, rows=arguments.rows, seed=arguments.seed)
        (place / "f16").mkdir()
        (place / "f16/model.gguf").symlink_to(f16.resolve())
        reference = labels(f16)
        for quant in arguments.quants:
            for matrix in (None, place / "imatrix.gguf"):
                quantising.quantise(place / "f16", place, quant, matrix)
                path = place / "model.gguf"
                compared = Compared(f16, path, examples)
                differ = [
                    sum(one[label] != other[label] for label in one)
                    for one, other in zip(reference, labels(path), strict=True)
                ]
                cells = [
                    name,
                    quant,
                    "with" if matrix else "without",
                    f"{read_json(place / 'tensors.json')['bits_per_weight']:.2f}",
                    *compared.cells("answer"),
                    *compared.cells("prompt"),
                    f"{sum(map(bool, differ))} of {len(rows)}",
                    f"{sum(differ)} of {len(rows) * len(scheme.names)}",
                ]
                print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="where sft/ and models/ lie")
    parser.add_argument("--overlays", type=Path, nargs="*", default=[Path("config/demo.yaml")], help="of the config")
    parser.add_argument("--models", nargs="*", help="models of the config; all, if none is named")
    parser.add_argument("--quants", nargs="*", default=QUANTS)
    parser.add_argument("--sets", nargs="*", default=["val"], choices=("val", "test"), help="rows that are compared on")
    parser.add_argument("--most", type=int, help="at most so many of them")
    parser.add_argument("--rows", type=int, default=256, help="training rows of the matrix")
    parser.add_argument("--seed", type=int, default=20261124, help="seed of their choice")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    settings = Settings(overlaid(arguments.overlays))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    parts = [
        f"{part}: {figure}" for part in ("answer", "prompt") for figure in ("KLD mean", "median", "99 %", "same top")
    ]
    heads = ["model", "quant", "imatrix", "bits/weight", *parts, "rows that flip", "labels that flip"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in arguments.models or settings.names:
        stanza = settings.model(name)
        template = Path(f"config/templates/{stanza.family}.jinja").read_text(encoding="utf-8")
        options = {"family": stanza.family, "template": template, "context": stanza.context}
        place = arguments.results / "models" / name
        f16 = place / f"gguf/{name}-f16.gguf"
        compare(name, place / "merged", f16, arguments.results / "sft", options, settings.scheme, arguments)


if __name__ == "__main__":
    main()
