"""Does a GGUF say what the merged model says? The same tokens through both, position by position; and does its header hold the
template and the end token that training used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgauge.chat import Chat
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl
from mindgauge.gguf_header import read_header
from mindgauge.hashing import digest
from mindgauge.progress import Progress

Logits = NDArray[np.float32]
# Positions whose distributions are computed at once: a row of the vocabulary in double precision each.
CHUNK = 64


def divergence(reference: Logits, other: Logits) -> NDArray[np.float64]:
    """The Kullback-Leibler divergence of each position, in nats: the sum over tokens of p (log p - log q), where p is the softmax of
    `reference` and q of `other` (both positions x tokens). As llama.cpp's tools/perplexity --kl-divergence has it."""
    found = []
    for start in range(0, len(reference), CHUNK):
        p, q = (of[start : start + CHUNK].astype(np.float64) for of in (reference, other))
        for of in (p, q):
            of -= of.max(axis=1, keepdims=True)
            of -= np.log(np.exp(of).sum(axis=1, keepdims=True))
        found.append((np.exp(p) * (p - q)).sum(axis=1))
    # Of two equal distributions rounding leaves a little on either side of 0.
    return np.maximum(np.concatenate(found), 0.0) if found else np.zeros(0)


class Gap:
    """How far one model lies from the reference, over all positions that were added."""

    def __init__(self) -> None:
        self.divergences: list[NDArray[np.float64]] = []
        self.in_answers: list[NDArray[np.float64]] = []
        self.same = 0
        self.largest = 0.0

    def add(self, reference: Logits, other: Logits, answer: int) -> None:
        """Adds a row; the answer's tokens are predicted from position `answer` on."""
        found = divergence(reference, other)
        self.divergences.append(found)
        self.in_answers.append(found[answer:])
        self.same += int((reference.argmax(axis=1) == other.argmax(axis=1)).sum())
        self.largest = max(self.largest, float(np.abs(reference - other).max()))

    def figures(self) -> dict[str, Any]:
        """`positions`, `same_top` (of them, how many have the same most likely token), `max_abs_logit`, and the divergences: `kld` of
        all positions, `kld_answer` of those that predict the answer."""

        def spread(of: list[NDArray[np.float64]]) -> dict[str, float]:
            values = np.concatenate(of)
            quantiles = {"median": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
            return {
                "mean": round(float(values.mean()), 7),
                **{name: round(float(np.quantile(values, at)), 7) for name, at in quantiles.items()},
            }

        return {
            "positions": sum(map(len, self.divergences)),
            "same_top": self.same,
            "max_abs_logit": round(self.largest, 6),
            "kld": spread(self.divergences),
            "kld_answer": spread(self.in_answers),
        }


def of_gguf(path: Path, rows: list[list[int]], threads: int) -> Iterator[Logits]:
    """The logits after each token of each row but its last, by llama.cpp. Raises UserError if it cannot load the file."""
    from llama_cpp import Llama

    try:
        llama = Llama(
            str(path),
            n_ctx=max(map(len, rows)),
            n_gpu_layers=0,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=True,
            verbose=False,
        )
    except ValueError:
        raise UserError(
            "llama.cpp cannot load this file", where=str(path), instead="a complete GGUF of a causal language model"
        ) from None
    for ids in rows:
        llama.reset()
        llama.eval(ids)
        yield np.array(llama.scores[: len(ids) - 1], dtype=np.float32)


def of_hf(path: Path, rows: list[list[int]]) -> Iterator[Logits]:
    """The logits after each token of each row but its last, by transformers in fp32 on the CPU."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(path), dtype=torch.float32, local_files_only=True).eval()
    for ids in rows:
        with torch.inference_mode():
            yield model(input_ids=torch.tensor([ids])).logits[0, :-1].float().numpy()


def header(path: Path, chat: Chat) -> dict[str, bool]:
    """What an app that takes the GGUF alone goes by: is its chat template the pinned one, is its end token the trained one?"""
    values = read_header(path).values
    ends = {values.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot")}
    return {
        "template": (values.get("tokenizer.chat_template") or "").strip() == chat.template.strip(),
        "end_token": chat.end_id in ends,
    }


def compared(
    merged: Path,
    ggufs: dict[str, Path],
    rows_file: Path,
    *,
    family: str,
    template: str,
    context: int,
    rows: int,
    threads: int = 1,
) -> dict[str, Any]:
    """For each GGUF (`variants`), against the merged model on `rows` of the file's rows, rendered with their answers, what
    `Gap.figures` and `header` tell. The rows are those whose ids' hashes are least: the same on every machine, of no order.
    Raises UserError if there is no row."""
    import torch

    torch.set_num_threads(threads)
    chat = Chat.load(merged, template, family)
    chosen = sorted(read_jsonl(rows_file), key=lambda row: digest(row["id"]))[:rows]
    examples = [chat.example(row, context) for row in chosen]
    if not examples:
        raise UserError("there is no row to compare on", where=rows_file.name, instead="a larger sft.test")
    ids = [example.prompt + example.completion for example in examples]
    gaps = {name: Gap() for name in ggufs}
    # In step, so that one row's logits are held at a time: of a vocabulary of 150,000 they take 0.6 MB a token.
    streams = [of_hf(merged, ids), *(of_gguf(path, ids, threads) for path in ggufs.values())]
    together = Progress(zip(examples, *streams, strict=True), total=len(ids), what="rows through every model")
    for example, reference, *others in together:
        for name, logits in zip(ggufs, others, strict=True):
            width = min(reference.shape[1], logits.shape[1])  # rows of padding that a converter leaves out or adds
            gaps[name].add(reference[:, :width], logits[:, :width], len(example.prompt) - 1)
    return {
        "rows": len(ids),
        "tokens": sum(map(len, ids)),
        "variants": {name: {**gaps[name].figures(), **header(path, chat)} for name, path in ggufs.items()},
    }
