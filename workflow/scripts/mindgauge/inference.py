"""Asking a model in two ways, by transformers or llama.cpp, on the same prompt ids: free greedy generation, as an app without a
grammar would see it, and answers held to exactly the valid ones, with a probability for each value."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgauge.chat import Chat
from mindgauge.engines import Choice
from mindgauge.errors import UserError
from mindgauge.labels import Scheme
from mindgauge.trie import Trie, following


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt and its token ids."""

    text: str
    ids: list[int]
    shortened: bool


@dataclass(frozen=True)
class Reply:
    """What was generated, without the end token, and whether the model stopped by itself."""

    text: str
    stopped: bool


def prompts(chat: Chat, rows: list[dict[str, Any]], room: int) -> list[Prompt]:
    """The prompts of rows, shortened inside the text to `room` tokens."""
    return [Prompt(*chat.prompt(row["instruction"], row["input"], room)) for row in rows]


def _reply(chat: Chat, ids: list[int]) -> Reply:
    stopped = chat.end_id in ids
    kept = ids[: ids.index(chat.end_id)] if stopped else ids
    return Reply(chat.tokenizer.decode(kept, skip_special_tokens=False), stopped)


def load_model(path: Path) -> Any:
    """A causal language model of transformers: in bf16 on a GPU if there is one, else in fp32. Raises UserError if it cannot be
    loaded."""
    import torch
    from transformers import AutoModelForCausalLM

    cuda = torch.cuda.is_available()
    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            str(path), dtype=torch.bfloat16 if cuda else torch.float32, local_files_only=True
        )
    except (OSError, ValueError):
        raise UserError(
            "transformers cannot load this model",
            where=str(path),
            instead="a directory with config.json, the tokenizer's files and *.safetensors",
        ) from None
    return loaded.to(torch.device("cuda" if cuda else "cpu")).eval()  # type: ignore[arg-type]


def load_adapted(base: Path, adapter: Path) -> Any:
    """Base and adapter as training left them, nothing merged. Raises UserError if the base cannot be loaded."""
    from peft import PeftModel

    return PeftModel.from_pretrained(load_model(base), str(adapter)).eval()


def generate_hf(chat: Chat, loaded: Any, asked: list[Prompt], max_new_tokens: int, batch_size: int) -> Iterator[Reply]:
    """Replies of a loaded transformers model, in the order of the prompts."""
    import torch

    pad = chat.tokenizer.pad_token_id if chat.tokenizer.pad_token_id is not None else chat.end_id
    for start in range(0, len(asked), batch_size):
        batch = [prompt.ids for prompt in asked[start : start + batch_size]]
        width = max(map(len, batch))
        ids = torch.tensor([[pad] * (width - len(one)) + one for one in batch], device=loaded.device)
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch], device=loaded.device)
        with torch.no_grad():
            out = loaded.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=[chat.end_id],
                pad_token_id=pad,
            )
        for one in out[:, width:].tolist():
            yield _reply(chat, one)


def held_hf(chat: Chat, loaded: Any, asked: list[Prompt], scheme: Scheme, batch_size: int) -> Iterator[Choice]:
    """Choices of a loaded transformers model over the valid answers."""
    from mindgauge.engines.transformers import TransformersEngine

    engine = TransformersEngine(loaded, answers_of(chat, scheme), batch_size=batch_size)
    yield from engine.answer(prompt.ids for prompt in asked)


def held_gguf(
    chat: Chat, path: Path, asked: list[Prompt], scheme: Scheme, context: int, batch_size: int, threads: int | None
) -> Iterator[Choice]:
    """Choices of a GGUF over the valid answers."""
    from mindgauge.engines.llama_cpp import LlamaCppEngine, sized

    with LlamaCppEngine(path, answers_of(chat, scheme), **sized(context, batch_size), threads=threads) as engine:
        yield from engine.answer(prompt.ids for prompt in asked)


def answers_of(chat: Chat, scheme: Scheme) -> Trie:
    """The valid answers as they follow a prompt of this chat."""
    return Trie.build(scheme, following(chat.ids, chat.render("", "")))


def load_gguf(path: Path, context: int, *, weights: bool = True, seed: int = 0) -> Any:
    """A llama.cpp model; without `weights` its vocabulary and key-values alone. Raises UserError if it cannot be loaded."""
    from llama_cpp import Llama

    # Without weights it knows of no trained context and warns of any; nothing is evaluated in this one.
    quiet = contextlib.nullcontext() if weights else contextlib.redirect_stderr(io.StringIO())
    try:
        with quiet:
            return Llama(str(path), n_ctx=context, n_gpu_layers=-1, seed=seed, vocab_only=not weights, verbose=False)
    except ValueError:
        raise UserError(
            "llama.cpp cannot load this file", where=str(path), instead="a complete GGUF of a causal language model"
        ) from None


def device(kind: str) -> str:
    """The device that a variant is asked on: of `hf` and `gguf` alike the GPU's name, where transformers or llama.cpp use one, else
    `cpu`."""
    import torch

    if kind == "gguf":
        from llama_cpp import llama_supports_gpu_offload

        if not llama_supports_gpu_offload():
            return "cpu"
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"


def token_parity(llama: Any, asked: list[Prompt]) -> float:
    """Share of the prompts for which llama.cpp's own tokenizer gives the ids of the training."""
    same = sum(llama.tokenize(prompt.text.encode(), add_bos=False, special=True) == prompt.ids for prompt in asked)
    return same / len(asked) if asked else 1.0


def generate_gguf(chat: Chat, llama: Any, asked: list[Prompt], max_new_tokens: int) -> Iterator[Reply]:
    """Replies of a llama.cpp model. The instruction all prompts begin with stays in its cache."""
    for prompt in asked:
        ids: list[int] = []
        for token in llama.generate(prompt.ids, temp=0.0, repeat_penalty=1.0):
            ids.append(token)
            if token == chat.end_id or len(ids) >= max_new_tokens:
                break
        yield _reply(chat, ids)
