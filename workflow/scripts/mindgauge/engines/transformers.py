"""The answering engine on a causal language model of transformers.

Prompts of a batch are padded between what they share and their own tokens. Masks are therefore made here from each token's true
position: transformers' own count a sliding window in places of the cache, padding included, and its sliding cache would drop
tokens by place. For the same reason the cache keeps every token, also of layers that look back less far.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mindgauge.engines import Choice, Draw, Drawing, shared, windows
from mindgauge.engines.walk import Ask, Walk
from mindgauge.errors import UserError
from mindgauge.trie import Trie

if TYPE_CHECKING:
    import torch

# Batches read ahead: prompts of about one length come together, so that little is padded.
AHEAD = 8
# The position of a place that holds padding.
NONE = -1


class _State:
    """What a batch has been told: the cache, and the position of the token in each of its places, shape (rows, places)."""

    def __init__(self, engine: "TransformersEngine", cache: Any, positions: "torch.Tensor") -> None:
        self.engine, self.cache, self.positions = engine, cache, positions

    def copy(self) -> "_State":
        """A state that can go on without this one."""
        return _State(self.engine, copy.deepcopy(self.cache), self.positions)

    def extend(self, rows: "list[_Row]") -> "torch.Tensor":
        """Evaluates the rows' tokens, padded on the left, in one forward; the logits after each row's last token for the
        tokens its ask allows, float64 on the CPU, shape (rows, most allowed tokens)."""
        import torch

        device, dtype = self.engine.model.device, self.engine.model.dtype
        if [row.source for row in rows] != list(range(len(self.positions))):
            sources = torch.tensor([row.source for row in rows], device=device)
            self.cache.batch_select_indices(sources)
            self.positions = self.positions[sources]
        width = max(len(row.tokens) for row in rows)
        pads = [width - len(row.tokens) for row in rows]
        ids = torch.tensor([[0] * pad + row.tokens for pad, row in zip(pads, rows, strict=True)], device=device)
        asking = torch.tensor(
            [
                [NONE] * pad + list(range(row.start, row.start + len(row.tokens)))
                for pad, row in zip(pads, rows, strict=True)
            ],
            device=device,
        )
        self.positions = torch.cat([self.positions, asking], dim=1)
        distance = asking[:, :, None] - self.positions[:, None, :]
        seen = (self.positions[:, None, :] != NONE) & (distance >= 0)
        # A token always sees its own place, so that padding gives numbers, too.
        own = torch.eye(width, dtype=torch.bool, device=device)

        def mask(window: int | None) -> torch.Tensor:
            near = seen.clone() if window is None else seen & (distance < window)
            near[:, :, -width:] |= own
            hidden = torch.zeros(near.shape, dtype=dtype, device=device)
            return hidden.masked_fill_(~near, torch.finfo(dtype).min)[:, None]

        kinds, window = self.engine.kinds, self.engine.window
        masks = (
            {kind: mask(window if kind == "sliding_attention" else None) for kind in kinds} if kinds else mask(window)
        )
        out = self.engine.model(
            input_ids=ids,
            attention_mask=masks,
            position_ids=asking.clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        allowed = [row.ask.node.allowed if row.ask else [] for row in rows]
        most = max(map(len, allowed))
        wanted = torch.tensor([of + [0] * (most - len(of)) for of in allowed], dtype=torch.long, device=device)
        return out.logits[:, -1].gather(1, wanted).double().cpu()


@dataclass
class _Row:
    """One row of a batch to be evaluated: it continues row `source` of the batch before by `tokens` (none if it only waits)."""

    source: int
    tokens: list[int] = field(default_factory=list)
    start: int = 0
    ask: Ask | None = None
    record: int = 0


class TransformersEngine:
    """A loaded model held to the answers of a trie, on the device the model is on."""

    def __init__(self, model: Any, trie: Trie, *, batch_size: int = 16) -> None:
        """Raises UserError if the model does not hold the trie's tokens, or attends in a way for which no mask is made here."""
        settings = model.config.get_text_config()
        kinds = getattr(settings, "layer_types", None)
        if unknown := set(kinds or ()) - {"full_attention", "sliding_attention"}:
            raise UserError(
                f"the model has layers of kind {min(unknown)}",
                where=f"model_type: {settings.model_type}",
                instead="a model of full or sliding attention, or its GGUF",
            )
        if model.config._attn_implementation not in ("sdpa", "eager"):
            raise UserError(
                f"the attention {model.config._attn_implementation} takes no mask of our own",
                where=f"model_type: {settings.model_type}",
                instead='attn_implementation="sdpa"',
            )
        if trie.largest >= settings.vocab_size:
            raise UserError(
                f"the answers have token {trie.largest}, the model only {settings.vocab_size} tokens",
                where=f"model_type: {settings.model_type}",
                instead="the tokenizer that belongs to this model",
            )
        self.model, self.trie, self.batch_size = model.eval(), trie, batch_size
        # Models with kinds of layers take a mask for each kind; the others one, with the window all their layers have.
        self.kinds: list[str] | None = sorted(set(kinds)) if kinds else None
        self.window: int | None = getattr(settings, "sliding_window", None)
        self.longest: int = settings.max_position_embeddings - trie.room

    def answer(self, prompts: Iterable[Sequence[int]], draw: Drawing | None = None) -> Iterator[Choice]:
        """A choice for each prompt, in their order (see `engines.Engine`)."""
        for window in windows(prompts, AHEAD * self.batch_size, self.longest):
            yield from self._window(window, draw)

    def _window(self, prompts: list[list[int]], draw: Drawing | None) -> list[Choice]:
        import torch
        from transformers import DynamicCache

        start = shared(prompts)
        found: dict[int, Choice] = {}
        order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
        with torch.inference_mode():
            beginning = _State(self, DynamicCache(), torch.zeros((1, 0), dtype=torch.long, device=self.model.device))
            if start:
                beginning.extend([_Row(0, prompts[0][:start], 0)])
            for at in range(0, len(order), self.batch_size):
                batch = order[at : at + self.batch_size]
                found.update(
                    zip(batch, self._batch(beginning, [prompts[number] for number in batch], start, draw), strict=True)
                )
        return [found[number] for number in range(len(prompts))]

    def _batch(self, beginning: "_State", prompts: list[list[int]], start: int, draw: Drawing | None) -> list[Choice]:
        state = beginning.copy()
        walks = [Walk(self.trie, Draw(*draw, prompt) if draw else None) for prompt in prompts]
        rows = [
            _Row(0, [*prompt[start:], *walk.asks[0].node.tokens], start, walk.asks[0], number)
            for number, (prompt, walk) in enumerate(zip(prompts, walks, strict=True))
        ]
        places: list[dict[Ask | None, int]] = [{} for _ in prompts]
        while rows:
            logits = state.extend(rows)
            for at, row in enumerate(rows):
                places[row.record][row.ask] = at
            for at, row in enumerate(rows):
                if row.ask is not None and row.tokens:
                    walks[row.record].answered(row.ask, logits[at, : len(row.ask.node.children)].numpy())
            rows, before = [], places
            places = [{} for _ in prompts]
            for number, walk in enumerate(walks):
                # What may still be chosen waits beside what is asked.
                rows += [_Row(before[number][parent], ask=parent, record=number) for parent in walk.waiting]
                rows += [
                    _Row(
                        before[number][ask.parent],
                        list(ask.node.tokens),
                        len(prompts[number]) + ask.node.depth,
                        ask,
                        number,
                    )
                    for ask in walk.asks
                ]
        return [walk.choice for walk in walks if walk.choice is not None]
