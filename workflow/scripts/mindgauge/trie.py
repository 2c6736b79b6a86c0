"""The valid answers as a trie of tokens: what must be said next, and where the model has a choice.

Built from the tokenised whole answers and never from offsets of single values, since a token may span a quote and a value, or
a value and the comma after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mindgauge.answers import all_answers, parse
from mindgauge.errors import UserError
from mindgauge.labels import Scheme, Value

Row = tuple[tuple[int, ...], tuple[Value, ...]]


@dataclass(frozen=True)
class Node:
    """A place where answers part, or, without children, the end of one answer.

    `tokens` lead from the parent's place to this one: the token chosen there, then all that is forced after it (the root's
    lead from the prompt and may be none). `depth` counts the answer's tokens before them. `values[k]` are the values of the
    k-th label among the answers below, in the scheme's order; `label` is the first label with several, None at an end.
    `children` stand by the token chosen.
    """

    tokens: tuple[int, ...]
    depth: int
    values: tuple[tuple[Value, ...], ...]
    label: int | None
    children: dict[int, "Node"]

    @property
    def allowed(self) -> list[int]:
        """The tokens that may follow, in the order of the children."""
        return list(self.children)


@dataclass(frozen=True)
class Trie:
    """The answers of a scheme in one tokenizer.

    `room` is the most tokens that answering keeps beside one prompt at any time, `branches` the most continuations of one
    prompt that stand side by side.
    """

    scheme: Scheme
    root: Node
    room: int
    branches: int
    largest: int

    @classmethod
    def build(cls, scheme: Scheme, tokenise: Callable[[str], Sequence[int]]) -> "Trie":
        """The trie of all answers, where `tokenise` gives an answer's token ids as it follows a prompt (see `following`).

        Raises UserError if two answers tokenise alike, or one as the beginning of another.
        """
        rows: list[Row] = []
        for answer in all_answers(scheme):
            labels = parse(scheme, answer)
            rows.append((tuple(tokenise(answer)), tuple(labels[name] for name in scheme.names)))
        root = _node(scheme, rows, 0)
        room, branches = _needs(root)
        return cls(scheme, root, room, branches, max(max(ids) for ids, _ in rows))


def following(ids: Callable[[str], Sequence[int]], prompt: str) -> Callable[[str], list[int]]:
    """A function that tokenises an answer as it follows `prompt`: the ids of both together without those of the prompt.

    It raises UserError if the answer changes the tokens of the prompt.
    """
    before = list(ids(prompt))

    def tokenise(answer: str) -> list[int]:
        whole = list(ids(prompt + answer))
        if whole[: len(before)] != before:
            raise UserError(
                "the tokenizer joins the end of the prompt and the beginning of the answer",
                where="the template of this model's family",
                instead="a template whose generation prompt ends with a special token or a line end",
            )
        return whole[len(before) :]

    return tokenise


def _node(scheme: Scheme, rows: list[Row], start: int) -> Node:
    """The node of the answers that agree in their first `start` tokens (and one more below the root)."""
    first, last = min(rows)[0], max(rows)[0]  # what these two share, all share
    end = start
    while end < min(len(first), len(last)) and first[end] == last[end]:
        end += 1
    values = tuple(
        tuple(value for value in field.values if any(type(of[k]) is type(value) and of[k] == value for _, of in rows))
        for k, field in enumerate(scheme.fields)
    )
    label = next((k for k, of in enumerate(values) if len(of) > 1), None)
    below: dict[int, list[Row]] = {}
    if label is not None:
        if end == len(first):
            raise UserError(
                "two answers tokenise alike, or one as the beginning of another",
                where=f"config/labels.yaml, the values of {scheme.names[label]}",
                instead="values that this model's tokenizer tells apart",
            )
        for row in rows:
            below.setdefault(row[0][end], []).append(row)
    return Node(first[start:end], start, values, label, {token: _node(scheme, of, end) for token, of in below.items()})


def _needs(node: Node) -> tuple[int, int]:
    """The most tokens, and the most continuations, kept at one time while the labels from `node` on are chosen."""
    tokens = branches = 0
    ends: dict[Any, list[tuple[int, int]]] = {}

    def region(inner: Node, path: int) -> None:
        # All places of one label are held until its value is chosen.
        nonlocal tokens, branches
        path += len(inner.tokens)
        tokens, branches = tokens + len(inner.tokens), branches + 1
        for child in inner.children.values():
            if child.label is not None and child.label == node.label:
                region(child, path)
            elif child.label is not None and node.label is not None:
                later, side = _needs(child)
                ends.setdefault(child.values[node.label][0], []).append((path + later, side))

    region(node, 0)
    for of in ends.values():
        tokens, branches = max(tokens, sum(end[0] for end in of)), max(branches, sum(end[1] for end in of))
    return tokens, branches
