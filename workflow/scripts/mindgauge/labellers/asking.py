"""Prompts for a labelling model in its own chat template: instruction, one line end and text, all in the user turn."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mindgauge.answers import repair
from mindgauge.chat import shortened
from mindgauge.engines import Choice
from mindgauge.errors import UserError
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labels import Scheme

OPEN, CLOSE = "<think>", "</think>"
# How the reasoning models' own templates end an empty thought.
NO_THOUGHT = f"\n{CLOSE}\n\n"
DIGITS = 6


@dataclass(frozen=True)
class Asking:
    """How a model is asked. `render` makes of a user turn the prompt up to where the answer begins, as its template does with
    reasoning switched on or off; `ids` are the tokens of a rendered text."""

    render: Callable[[str, bool], str]
    ids: Callable[[str], list[int]]
    instruction: str
    thinking: bool = False

    def rendered(self, text: str) -> str:
        """The prompt. A thought that the template has opened is closed at once where reasoning is off (FIELD_NOTES: such
        templates differ, so the prompt itself is looked at)."""
        prompt = self.render(f"{self.instruction}\n{text}", self.thinking)
        opened = prompt.rstrip().endswith(OPEN)
        return f"{prompt.rstrip()}{NO_THOUGHT}" if opened and not self.thinking else prompt

    def prompt(self, text: str, room: int) -> list[int]:
        """The prompt's tokens, at most `room`: a longer text loses its beginning. Raises UserError if not even the instruction
        fits."""

        def fits(part: str) -> bool:
            return len(self.ids(self.rendered(part))) <= room

        if not fits(text):
            if not fits(""):
                raise UserError(
                    f"the instruction alone is longer than {room} tokens",
                    where="label.context",
                    instead="a larger context, or a shorter prompt",
                )
            text = shortened(text, fits)
        return self.ids(self.rendered(text))


def chosen(asked: Asked, choice: Choice) -> Answer:
    """The answer in an engine's choice."""
    probabilities = {
        name: {str(value): round(p, DIGITS) for value, p in of.items()} for name, of in choice.probabilities.items()
    }
    return Answer(asked.id, dict(choice.labels), probabilities)


def read(asked: Asked, scheme: Scheme, text: str, ended: bool) -> Answer:
    """The answer in freely generated text, repaired if need be."""
    labels, note = repair(scheme, text)
    if labels is None:
        return Answer(asked.id, None, None, fault=note if ended else f"cut off; {note}")
    return Answer(asked.id, labels, None, fault=note)


def held_to(
    answer: Callable[[Iterator[list[int]]], Iterator[Choice]],
    asked: Iterable[Asked],
    prompt: Callable[[Asked], list[int]],
) -> Iterator[Answer]:
    """The answers of an engine, which reads prompts ahead and answers in their order."""
    waiting: deque[Asked] = deque()

    def prompts() -> Iterator[list[int]]:
        for one in asked:
            waiting.append(one)
            yield prompt(one)

    for choice in answer(prompts()):
        yield chosen(waiting.popleft(), choice)
