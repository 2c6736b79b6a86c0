"""The trie and the walk through it against brute force over all answers, with made-up tokenisers and made-up logits."""

import random
from collections import Counter

import numpy as np
import pytest

from mindgauge import trie
from mindgauge.answers import all_answers, parse
from mindgauge.engines.walk import Walk
from mindgauge.errors import UserError
from mindgauge.labels import Scheme


def scheme_of(**values):
    kinds = {int: "ordinal", str: "nominal"}
    return Scheme.from_dict(
        {"fields": [{"name": name, "kind": kinds[type(of[0])], "values": of} for name, of in values.items()]}
    )


def pieces(*longer):
    """A tokeniser that takes the longest piece first: single characters and the pieces given."""
    known = sorted([chr(code) for code in range(32, 127)] + list(longer), key=len, reverse=True)

    def tokenise(text):
        ids = []
        while text:
            piece = next(piece for piece in known if text.startswith(piece))
            ids.append(known.index(piece))
            text = text[len(piece) :]
        return ids

    return tokenise


WORDS = scheme_of(risk=["none", "suicidal", "self_harm", "violence", "non"], level=[0, 1, 10, 100, 2])
ONE = scheme_of(only=["a", "b"])
# What a token holds: words that share first tokens; a value and the comma after it; quote and value; two values at once.
TOKENISERS = {
    "characters": pieces(),
    "shared first tokens": pieces("su", "icidal", "s", "elf_harm", "no", "ne"),
    "value and comma": pieces('0, "', "0}", "00}", 'none", "', 'harm", '),
    "quote and value": pieces(' "none', ' "s', '{"', ': "', '"risk": "suicidal", "level": 1'),
    "two values in one token": pieces('none", "level": 1', 'e", "level": 10}', 'violence", "level": 2}'),
}


def random_pieces(scheme, seed):
    rng, held = random.Random(seed), all_answers(scheme)
    cut = [rng.choice(held) for _ in range(40)]
    starts = [rng.randrange(len(text)) for text in cut]
    return pieces(*{text[at : at + rng.randint(2, 12)] for text, at in zip(cut, starts, strict=True)})


def model(seed):
    """Made-up logits: of each token after each path, by a hash of both, so that nothing depends on the order of asking."""

    def logits(path, tokens):
        return np.array([random.Random(f"{seed} {tuple(path)} {token}").gauss(0, 2) for token in tokens])

    return logits


def brute_force(scheme, tokenise, logits):
    """The choice by the definition: over all answers, no trie."""
    answers = [(tuple(tokenise(text)), parse(scheme, text)) for text in all_answers(scheme)]
    mass = {}
    for ids, _ in answers:
        mass[ids] = 1.0
        for at in range(len(ids)):
            allowed = sorted({other[at] for other, _ in answers if other[:at] == ids[:at]})
            weights = np.exp(logits(ids[:at], allowed))
            mass[ids] *= weights[allowed.index(ids[at])] / weights.sum()
    chosen, probabilities = {}, {}
    for field in scheme.fields:
        left = [(ids, labels) for ids, labels in answers if chosen.items() <= labels.items()]
        total = sum(mass[ids] for ids, _ in left)
        of = {
            value: sum(mass[ids] for ids, labels in left if labels[field.name] == value) / total
            for value in field.values
        }
        probabilities[field.name], chosen[field.name] = of, max(of, key=of.get)
    return chosen, probabilities


def walked(made, logits):
    """The walk's choice, and the most tokens and places that it held at one time."""
    walk, tokens, branches = Walk(made), 0, 0
    while walk.choice is None:
        held = set(walk.asks) | set(walk.waiting)
        branches = max(branches, len(held))
        kept = set()
        for ask in held:
            while ask is not None:
                kept.add(ask)
                ask = ask.parent
        tokens = max(tokens, sum(len(ask.node.tokens) for ask in kept))
        for ask in list(walk.asks):
            path, above = [], ask
            while above is not None:
                path, above = [*above.node.tokens, *path], above.parent
            assert len(path) == ask.node.depth + len(ask.node.tokens)
            walk.answered(ask, logits(path, ask.node.allowed))
    return walk.choice, tokens, branches


def agree(scheme, tokenise, seed):
    made, logits = trie.Trie.build(scheme, tokenise), model(seed)
    choice, tokens, branches = walked(made, logits)
    labels, probabilities = brute_force(scheme, tokenise, logits)
    assert choice.labels == labels
    for name, of in probabilities.items():
        assert choice.probabilities[name] == pytest.approx(of, abs=1e-12)
    assert tokens <= made.room and branches <= made.branches


@pytest.mark.parametrize("name", TOKENISERS)
@pytest.mark.parametrize("seed", range(4))
def test_the_walk_gives_what_brute_force_gives(name, seed):
    agree(WORDS, TOKENISERS[name], seed)


@pytest.mark.parametrize("seed", range(12))
def test_the_walk_holds_for_any_pieces(seed):
    agree(WORDS, random_pieces(WORDS, seed), seed)


def test_the_default_scheme_has_a_way_to_each_answer(scheme):
    tokenise = pieces("su", "self")
    made, ends = trie.Trie.build(scheme, tokenise), Counter()

    def visit(node, path):
        path = path + node.tokens
        assert len(node.children) != 1 and node.depth + len(node.tokens) == len(path)
        if not node.children:
            ends[path] += 1
        for token, child in node.children.items():
            assert child.tokens[0] == token
            assert all(set(of) <= set(above) for of, above in zip(child.values, node.values, strict=True))
            visit(child, path)

    visit(made.root, ())
    assert set(ends) == {tuple(tokenise(text)) for text in all_answers(scheme)} and set(ends.values()) == {1}
    assert len(ends) == 640


def test_a_label_whose_values_share_tokens_branches_twice():
    made = trie.Trie.build(WORDS, TOKENISERS["shared first tokens"])
    below = {of.values[0] for of in made.root.children.values()}
    assert ("suicidal",) in below and ("none", "non") in below and made.branches > 1
    assert trie.Trie.build(ONE, pieces()).branches == 1
    assert trie.Trie.build(ONE, pieces()).room == len('{"only": "')


def test_answers_that_tokenise_alike_are_refused():
    with pytest.raises(UserError, match="two answers tokenise alike"):
        trie.Trie.build(ONE, lambda text: [len(text)])
    with pytest.raises(UserError, match="beginning of another"):
        trie.Trie.build(scheme_of(n=[1, 11]), lambda text: [1] * text.count("1"))


def test_an_answer_is_tokenised_as_it_follows_the_prompt():
    tokenise = pieces(">{")
    assert trie.following(tokenise, "ab ")('{"') == tokenise('{"')
    with pytest.raises(UserError, match="joins the end of the prompt"):
        trie.following(tokenise, "ab>")('{"')
