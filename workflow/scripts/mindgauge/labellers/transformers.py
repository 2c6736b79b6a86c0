"""The backend `transformers`: a local model directory, on a GPU if there is one, asked in its tokenizer's chat template."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mindgauge.engines.transformers import TransformersEngine
from mindgauge.errors import UserError
from mindgauge.inference import load_model
from mindgauge.labellers.asking import CLOSE, NO_THOUGHT, Asking, held_to, read
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labels import Scheme
from mindgauge.parallel import in_batches
from mindgauge.trie import Trie, following

PACE = ("batch_size",)
ANSWER = 96


def asking_of(tokenizer: Any, path: Path, instruction: str, thinking: bool) -> Asking:
    """How a model is asked, by its tokenizer's template. Raises UserError if it has none."""
    if not tokenizer.chat_template:
        raise UserError(
            "the tokenizer of this model has no chat template",
            where=f"label.model: {path}",
            instead="the directory of a chat model (an instruct variant)",
        )

    def render(content: str, thinks: bool) -> str:
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True, enable_thinking=thinks
        )

    def ids(rendered: str) -> list[int]:
        return tokenizer(rendered, add_special_tokens=False)["input_ids"]

    return Asking(render, ids, instruction, thinking)


def generated(
    model: Any, tokenizer: Any, prompts: list[list[int]], most: int, temperature: float, stop: str = ""
) -> list[tuple[list[int], bool]]:
    """Freely generated tokens for each prompt (left padding), and whether the model ended by itself or said `stop`."""
    import torch

    end = model.generation_config.eos_token_id
    ends = set(end if isinstance(end, list) else [end, tokenizer.eos_token_id]) - {None}
    pad = next(iter(ends))
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(one)) + one for one in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts], device=model.device)
    options: dict[str, Any] = (
        {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
    )
    with torch.no_grad():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=most,
            eos_token_id=sorted(ends),
            pad_token_id=pad,
            stop_strings=[stop] if stop else None,
            tokenizer=tokenizer if stop else None,
            **options,
        )
    found = []
    for one in out[:, width:].tolist():
        cut = next((at for at, token in enumerate(one) if token in ends), None)
        kept = one if cut is None else one[:cut]
        found.append((kept, cut is not None or bool(stop and stop in tokenizer.decode(kept))))
    return found


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
) -> Iterator[Answer]:
    """The model's labels for each record. Raises UserError if the model cannot be loaded or has no template."""
    import torch
    from transformers import AutoTokenizer

    torch.manual_seed(seed)
    model = load_model(path)
    tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
    asking = asking_of(tokenizer, path, instruction, thinking)
    room = context - ANSWER - (max_thought if thinking else 0)
    if decoding == "free":
        most = ANSWER + (max_thought if thinking else 0)
        for batch in in_batches(asked, batch_size):
            prompts = [asking.prompt(one.text, room) for one in batch]
            for one, (ids, ended) in zip(batch, generated(model, tokenizer, prompts, most, temperature), strict=True):
                yield read(one, scheme, str(tokenizer.decode(ids)), ended)
        return

    def thought(one: Asked) -> list[int]:
        found = asking.prompt(one.text, room)
        if not thinking:
            return found
        ((ids, ended),) = generated(model, tokenizer, [found], max_thought, temperature, CLOSE)
        return [*found, *ids, *asking.ids("\n\n" if ended else NO_THOUGHT)]

    engine = TransformersEngine(
        model, Trie.build(scheme, following(asking.ids, asking.rendered(""))), batch_size=batch_size
    )
    draw = (temperature, seed) if temperature > 0 else None
    yield from held_to(lambda prompts: engine.answer(prompts, draw), asked, thought)
