"""The answering engine that labelling and evaluation share: answers held to a label scheme, with probabilities.

An answer is chosen greedily, label by label in key order. A value's probability is that of its tokens, each the model's
next-token probability renormalised over the tokens with which a valid answer can go on, given the labels already chosen. Where
values share first tokens, every inner branch of the label is evaluated, so the probabilities of a label sum to 1 and are exact.
Equal values fall to the one that stands first in the scheme.
"""

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mindgauge.labels import Value

# Temperature (above 0) and seed.
Drawing = tuple[float, int]


@dataclass(frozen=True)
class Choice:
    """The labels chosen, in key order, and for each label the probability of each of its values, in the scheme's order."""

    labels: dict[str, Value]
    probabilities: dict[str, dict[Value, float]]


class Draw:
    """Draws values for one record, instead of taking the likeliest: seeds make several voters of one model. What is drawn follows
    from the seed and the prompt, whatever company the record is in."""

    def __init__(self, temperature: float, seed: int, prompt: Sequence[int]) -> None:
        self.temperature = temperature
        self.random = random.Random(f"{seed} {hashlib.sha256(repr(list(prompt)).encode()).hexdigest()}")

    def value(self, masses: dict[Value, float]) -> Value:
        """One of the values, with the probabilities that softmax at the temperature gives them."""
        return self.random.choices(list(masses), [mass ** (1 / self.temperature) for mass in masses.values()])[0]


class Engine(Protocol):
    """A model held to the answers of one trie."""

    longest: int
    """The most tokens that a prompt may have."""

    def answer(self, prompts: Iterable[Sequence[int]], draw: Drawing | None = None) -> Iterator[Choice]:
        """A choice for each prompt (token ids), in their order. Reads some prompts ahead and keeps no more than these; what
        they all begin with is evaluated once. With `draw` values are drawn. Raises ValueError for a prompt that is empty or longer than `longest`.

        A record's logits differ in their last bits with the company it is evaluated in: two values that the model puts
        within that noise of each other may change places.
        """
        ...


def windows(prompts: Iterable[Sequence[int]], size: int, longest: int) -> Iterator[list[list[int]]]:
    """The prompts in lists of `size`. Raises ValueError for one that is empty or longer than `longest` tokens."""
    rest = enumerate(prompts)
    while window := list(itertools.islice(rest, size)):
        for number, prompt in window:
            if not 0 < len(prompt) <= longest:
                raise ValueError(f"prompt {number} has {len(prompt)} tokens; from 1 to {longest} can be answered")
        yield [list(prompt) for _, prompt in window]


def shared(prompts: Sequence[list[int]]) -> int:
    """How many tokens all prompts begin with; at least the last token of each is left out, so that each has one to ask after."""
    low, high = min(prompts), max(prompts)  # in the order of words: what these two share, all share
    most = min(map(len, prompts)) - 1
    return next((at for at, pair in enumerate(zip(low[:most], high[:most], strict=True)) if pair[0] != pair[1]), most)
