"""One record's way through the trie: what to ask the model next, and the choice in the end. It knows no backend."""

from dataclasses import dataclass

import numpy as np

from mindgauge.engines import Choice, Draw
from mindgauge.labels import Value
from mindgauge.trie import Node, Trie


@dataclass(frozen=True, eq=False)
class Ask:
    """A question to the model: the logits of `node.allowed` after the tokens of `node`, which continue those of `parent`
    (None: the prompt). `mass` is the probability of getting here, given the labels already chosen."""

    node: Node
    parent: "Ask | None"
    mass: float


@dataclass(frozen=True)
class End:
    """A place at which the current label's value is known: `node` lies behind a choice at `parent`."""

    node: Node
    parent: "Ask | None"
    mass: float


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the logits given, in float64."""
    shifted = np.asarray(logits, dtype=np.float64)
    weights = np.exp(shifted - shifted.max())
    return weights / weights.sum()


class Walk:
    """Chooses label by label: all asks of a label are answered (`answered`) before its value is chosen.

    `asks` are those not answered yet.
    """

    def __init__(self, trie: Trie, draw: Draw | None = None) -> None:
        """With `draw` values are drawn by their probabilities, otherwise the likeliest is taken."""
        self.trie, self.draw = trie, draw
        self.label = 0
        self.labels: dict[str, Value] = {}
        self.probabilities: dict[str, dict[Value, float]] = {}
        self.asks: list[Ask] = []
        self.ends: dict[Value, list[End]] = {}
        self._place(trie.root, None, 1.0)
        self._choose()

    @property
    def waiting(self) -> list[Ask | None]:
        """The answered asks behind one of which the walk may go on once the current label is chosen."""
        return list(dict.fromkeys(end.parent for of in self.ends.values() for end in of))

    @property
    def choice(self) -> Choice | None:
        """The choice, once all labels are chosen."""
        return Choice(self.labels, self.probabilities) if self.label == len(self.trie.scheme.fields) else None

    def answered(self, ask: Ask, logits: np.ndarray) -> list[Ask]:
        """Takes the logits of `ask.node.allowed` (same order) and returns the asks that are new."""
        before = set(self.asks)
        self.asks.remove(ask)
        for child, probability in zip(ask.node.children.values(), softmax(logits), strict=True):
            self._place(child, ask, ask.mass * float(probability))
        self._choose()
        return [new for new in self.asks if new not in before]

    def _place(self, node: Node, parent: Ask | None, mass: float) -> None:
        values = node.values[self.label]
        if len(values) > 1:
            self.asks.append(Ask(node, parent, mass))
        else:
            self.ends.setdefault(values[0], []).append(End(node, parent, mass))

    def _choose(self) -> None:
        """Chooses the values of all labels that no open ask stands before."""
        while not self.asks and self.choice is None:
            field = self.trie.scheme.fields[self.label]
            masses = {value: sum(end.mass for end in self.ends.get(value, [])) for value in field.values}
            total = sum(masses.values())
            value = self.draw.value(masses) if self.draw else max(masses, key=masses.__getitem__)
            self.labels[field.name] = value
            self.probabilities[field.name] = {of: mass / total for of, mass in masses.items()}
            ends, self.ends = self.ends[value], {}
            self.label += 1
            if self.choice is None:
                for end in ends:
                    self._place(end.node, end.parent, end.mass / masses[value])
