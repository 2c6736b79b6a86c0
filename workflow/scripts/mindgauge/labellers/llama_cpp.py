"""The backend `llama-cpp`: a GGUF in process, asked in the chat template it carries."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mindgauge.engines.llama_cpp import LlamaCppEngine, sized
from mindgauge.errors import UserError
from mindgauge.inference import load_gguf
from mindgauge.labellers.asking import CLOSE, NO_THOUGHT, Asking, held_to, read
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labels import Scheme
from mindgauge.trie import Trie, following

PACE = ("batch_size", "threads")
ANSWER = 96


def asking_of(llama: Any, path: Path, instruction: str, thinking: bool) -> Asking:
    """How a GGUF is asked, by the template in its key-values. Raises UserError if it carries none."""
    import llama_cpp
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    template = llama.metadata.get("tokenizer.chat_template")
    if not template:
        raise UserError(
            "this GGUF carries no chat template",
            where=f"label.model: {path}",
            instead="a GGUF of a chat model (an instruct variant), converted with its tokenizer_config.json",
        )
    vocabulary = llama_cpp.llama_model_get_vocab(llama.model)

    def piece(token: int) -> str:
        return llama.detokenize([token], special=True).decode("utf-8", "ignore") if token >= 0 else ""

    bos = llama.token_bos()
    formatter = Jinja2ChatFormatter(template, eos_token=piece(llama.token_eos()), bos_token=piece(bos))

    def render(content: str, thinks: bool) -> str:
        said: Any = [{"role": "user", "content": content}]
        return formatter(messages=said, enable_thinking=thinks).prompt

    def ids(rendered: str) -> list[int]:
        found = llama.tokenize(rendered.encode(), add_bos=False, special=True)
        # Once, whether the template writes it or the vocabulary wants it added.
        wanted = llama_cpp.llama_vocab_get_add_bos(vocabulary) and bos >= 0
        return [bos, *found] if wanted and found[:1] != [bos] else found

    return Asking(render, ids, instruction, thinking)


def generated(llama: Any, prompt: list[int], most: int, temperature: float, stop: str = "") -> tuple[list[int], bool]:
    """Freely generated tokens, and whether the model ended by itself or said `stop`."""
    import llama_cpp

    vocabulary = llama_cpp.llama_model_get_vocab(llama.model)
    ids: list[int] = []
    for token in llama.generate(prompt, temp=temperature, repeat_penalty=1.0):
        if llama_cpp.llama_vocab_is_eog(vocabulary, token):
            return ids, True
        ids.append(token)
        if stop and stop in llama.detokenize(ids[-8:], special=True).decode("utf-8", "ignore"):
            return ids, True
        if len(ids) >= most:
            break
    return ids, False


def label(
    asked: Iterable[Asked],
    scheme: Scheme,
    *,
    path: Path,
    instruction: str,
    context: int,
    decoding: str,
    thinking: bool,
    max_thought: int,
    temperature: float,
    seed: int,
    batch_size: int = 16,
    threads: int | None = None,
) -> Iterator[Answer]:
    """The model's labels for each record. Raises UserError if the GGUF cannot be loaded or has no template."""
    free = decoding == "free"
    llama = load_gguf(path, context, weights=free or thinking, seed=seed)
    asking = asking_of(llama, path, instruction, thinking)
    room = context - ANSWER - (max_thought if thinking else 0)

    def prompt(one: Asked) -> list[int]:
        found = asking.prompt(one.text, room)
        if not thinking:
            return found
        thought, ended = generated(llama, found, max_thought, temperature, CLOSE)
        return [
            *found,
            *thought,
            *llama.tokenize((b"\n\n" if ended else NO_THOUGHT.encode()), add_bos=False, special=True),
        ]

    if free:
        for one in asked:
            ids, ended = generated(
                llama, asking.prompt(one.text, room), ANSWER + (max_thought if thinking else 0), temperature
            )
            yield read(one, scheme, llama.detokenize(ids, special=True).decode("utf-8", "replace"), ended)
        return
    trie = Trie.build(scheme, following(asking.ids, asking.rendered("")))
    with LlamaCppEngine(path, trie, **sized(context, batch_size), threads=threads) as engine:
        draw = (temperature, seed) if temperature > 0 else None
        yield from held_to(lambda prompts: engine.answer(prompts, draw), asked, prompt)
