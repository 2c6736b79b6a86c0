"""Prompts: one pinned template a family renders them for training, inference, the tokenizer and the GGUF alike.

The user turn is instruction, one line end, text, as LLaMA-Factory joins them; the assistant turn is the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgauge import dummy_prefix
from mindgauge.errors import UserError

# The token that ends an answer, a family. It differs from the base model's eos in some.
END_TOKENS = {
    "deepseek-r1": "<｜end▁of▁sentence｜>",
    "qwen3": "<|im_end|>",
    "qwen3-instruct": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "gemma3": "<end_of_turn>",
    "mistral": "</s>",
}


@dataclass(frozen=True)
class Example:
    """A row as token ids. `prompt` is what the model is given, `completion` what it must say: the answer and the end token."""

    prompt: list[int]
    completion: list[int]
    shortened: bool


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """The longest end of the text that fits: whole lines (turns) are taken from its beginning first, then characters
    of what is left. What was said last counts most."""
    lines = text.split("\n")
    while len(lines) > 1 and not fits("\n".join(lines)):
        lines.pop(0)
    rest = "\n".join(lines)
    low, high = 0, len(rest)  # the smallest cut that fits
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(rest[middle:]) else (middle + 1, high)
    return rest[low:]


class Chat:
    """A tokenizer with a family's template."""

    def __init__(self, tokenizer: Any, template: str, family: str) -> None:
        """Raises UserError if the tokenizer lacks the family's end token."""
        self.tokenizer, self.template, self.family = tokenizer, template, family
        self.end = END_TOKENS[family]
        self.end_id: int = tokenizer.convert_tokens_to_ids(self.end)
        if self.end_id is None or self.end_id == tokenizer.unk_token_id:
            raise UserError(
                f"the tokenizer has no token {self.end!r}",
                where=f"models.yaml: family: {family}",
                instead="the template family of this base model",
            )

    @classmethod
    def load(cls, directory: Path, template: str, family: str) -> "Chat":
        """The chat of a model directory, from its own tokenizer files; without a dummy prefix, if they have one."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
        dummy_prefix.remove(tokenizer)
        return cls(tokenizer, template, family)

    def render(self, instruction: str, text: str, answer: str | None = None) -> str:
        """The prompt as a string, with the answer and its end token if one is given."""
        messages = [{"role": "user", "content": f"{instruction}\n{text}"}]
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        return self.tokenizer.apply_chat_template(
            messages, chat_template=self.template, tokenize=False, add_generation_prompt=answer is None
        )

    def conversation(self, turns: list[tuple[str, str]]) -> str:
        """Several turns (role, content) as a prompt, as an app that keeps the conversation would render it."""
        messages = [{"role": role, "content": content} for role, content in turns]
        return self.tokenizer.apply_chat_template(
            messages, chat_template=self.template, tokenize=False, add_generation_prompt=True
        )

    def ids(self, rendered: str) -> list[int]:
        """Token ids of a rendered string; the template holds all special tokens, so none is added."""
        return self.tokenizer(rendered, add_special_tokens=False)["input_ids"]

    def prompt(self, instruction: str, text: str, room: int) -> tuple[str, list[int], bool]:
        """The rendered prompt, its ids, and whether the text was shortened so that at most `room` tokens are used.

        Raises UserError if not even the instruction fits.
        """
        rendered = self.render(instruction, text)
        found = self.ids(rendered)
        if len(found) <= room:
            return rendered, found, False
        if len(self.ids(self.render(instruction, ""))) > room:
            raise UserError(
                f"the instruction alone is longer than {room} tokens",
                where="models.yaml: context",
                instead="a larger context, or a shorter prompt",
            )
        rendered = self.render(
            instruction, shortened(text, lambda part: len(self.ids(self.render(instruction, part))) <= room)
        )
        return rendered, self.ids(rendered), True

    def example(self, row: dict[str, Any], context: int) -> Example:
        """A training row as ids. Raises UserError if template and tokenizer do not make the answer exactly what follows the prompt."""
        end = self.ids(row["output"] + self.end)
        rendered, prompt, short = self.prompt(row["instruction"], row["input"], context - len(end) - 4)
        text = row["input"]
        if short:  # the text as it was shortened, so that prompt and whole row agree
            text = shortened(
                text, lambda part: len(self.ids(self.render(row["instruction"], part))) <= context - len(end) - 4
            )
        whole = self.render(row["instruction"], text, row["output"])
        if not whole.startswith(rendered) or not whole.endswith(self.end):
            raise self._mismatch("the template does not put the answer right after the generation prompt")
        completion = self.ids(whole[len(rendered) :])
        if prompt + completion != self.ids(whole):
            raise self._mismatch("prompt and answer are tokenised differently together than apart")
        if completion[-1] != self.end_id or completion.count(self.end_id) != 1:
            raise self._mismatch("the answer does not end with the end token")
        return Example(prompt, completion, short)

    def _mismatch(self, what: str) -> UserError:
        return UserError(
            f"{what}: template and tokenizer do not belong together",
            where=f"models.yaml: family: {self.family}",
            instead="the template family of this base model, or the base with the tokenizer it was published with",
        )
