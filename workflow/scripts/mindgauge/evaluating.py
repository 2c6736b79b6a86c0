"""Evaluation of one variant of a model on the held-out rows, against the labeller (test) and against humans (gold)."""

import json
import time
from pathlib import Path
from typing import Any

from mindgauge import inference, metrics
from mindgauge.answers import AnswerError, parse
from mindgauge.chat import Chat
from mindgauge.files import files_below, read_jsonl, sha256_file, write_json, write_jsonl
from mindgauge.labels import Scheme
from mindgauge.progress import Progress
from mindgauge.store import digest

WEIGHTS = (".safetensors", ".gguf")


def held_out(sft: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows every variant and baseline is judged on: `test` and `gold`."""
    return {name: list(read_jsonl(sft / f"{name}.jsonl")) for name in ("test", "gold")}


def artifact(directory: Path) -> dict[str, Any]:
    """Size of the weights, and their sha256 (of one file, or over the several of a directory)."""
    found = [path for path in files_below(directory) if path.suffix in WEIGHTS]
    hashes = {path.name: sha256_file(path) for path in found}
    return {
        "size_bytes": sum(path.stat().st_size for path in found),
        "sha256": next(iter(hashes.values())) if len(hashes) == 1 else digest(hashes),
    }


def report(
    scheme: Scheme,
    rows: dict[str, list[dict[str, Any]]],
    answers: dict[str, list[Any]],
    stopped: dict[str, list[bool]] | None,
) -> dict[str, Any]:
    """The figures of `test` at the top, those of `gold` under that name: two references, kept apart."""
    found = {}
    for name, of in rows.items():
        references = [json.loads(row["output"]) for row in of]
        found[name] = metrics.summary(scheme, answers[name], references, stopped[name] if stopped else None)
    return {
        "reference": "labeller",
        **found["test"],
        "gold": {"reference": "human", **found["gold"]} if rows["gold"] else None,
    }


def predictions(
    rows: dict[str, list[dict[str, Any]]], answers: dict[str, list[Any]], stopped: dict[str, list[bool]] | None
) -> list[dict[str, Any]]:
    """A row for each answer, by id, without any text: every figure can be computed again from these."""
    return [
        {
            "id": row["id"],
            "set": name,
            "labels": answer,
            "reference": json.loads(row["output"]),
            "valid": answer is not None,
            "stopped": stopped[name][number] if stopped else None,
        }
        for name, of in rows.items()
        for number, (row, answer) in enumerate(zip(of, answers[name], strict=True))
    ]


def evaluate(
    sft: Path,
    model: Path,
    tokenizer: Path,
    out: Path,
    *,
    name: str,
    variant: str,
    kind: str,
    family: str,
    template: str,
    context: int,
    max_new_tokens: int,
    batch_size: int,
    labels: dict[str, Any],
) -> None:
    """Writes metrics.json and predictions.jsonl."""
    scheme = Scheme.from_dict(labels)
    chat = Chat.load(tokenizer, template, family)
    rows = held_out(sft)
    asked = {of: inference.prompts(chat, rows[of], context - max_new_tokens) for of in rows}
    flat = [prompt for of in asked for prompt in asked[of]]
    parity = None
    start = time.monotonic()
    if kind == "gguf":
        llama = inference.load_gguf(model / "model.gguf", context)
        parity = inference.token_parity(llama, flat)
        replies = inference.generate_gguf(chat, llama, flat, max_new_tokens)
    else:
        replies = inference.generate_hf(chat, model, flat, max_new_tokens, batch_size)
    found = list(Progress(replies, total=len(flat), what="rows"))
    seconds = time.monotonic() - start
    answers: dict[str, list[Any]] = {of: [] for of in rows}
    stopped: dict[str, list[bool]] = {of: [] for of in rows}
    places = [name for name in asked for _ in asked[name]]
    for of, reply in zip(places, found, strict=True):
        try:
            answers[of].append(parse(scheme, reply.text))
        except AnswerError:
            answers[of].append(None)
        stopped[of].append(reply.stopped)
    write_jsonl(out / "predictions.jsonl", predictions(rows, answers, stopped))
    write_json(
        out / "metrics.json",
        {
            "model": name,
            "variant": variant,
            **report(scheme, rows, answers, stopped),
            "shortened": sum(prompt.shortened for prompt in flat),
            "token_parity": parity,
            "seconds": round(seconds, 2),
            "rows_per_second": round(len(flat) / seconds, 2),
            **artifact(model),
        },
    )
