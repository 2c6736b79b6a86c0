"""Probabilities of values from tokens: against the true distribution of made-up decoders, however they cut the answer."""

import itertools
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgauge.answers import canonical
from mindgauge.labellers.token_probabilities import Token, probabilities
from mindgauge.labels import Scheme

LABELS = {"depression_level": 1, "anxiety_level": 0, "risk_flag": "suicidal", "student_distress_score": 4}


def token(piece, top=None):
    top = {piece: 1.0} if top is None else top
    return Token(
        piece.encode(), math.log(top.get(piece, 1.0)), [(p.encode(), math.log(s)) for p, s in top.items() if s]
    )


def answer(pieces, lists):
    """The tokens of an answer cut as `pieces`, with the alternatives of `lists` by number."""
    return [token(piece, lists.get(number)) for number, piece in enumerate(pieces)]


def cut(scheme, labels=LABELS, extra=r"(?!)"):
    """Names, digits, words and marks."""
    return re.findall(rf"{extra}|su|icidal|self|[a-z_]+|\d|[^a-z_\d]+", canonical(scheme, labels))


def place(pieces, piece, nth=0):
    return [number for number, held in enumerate(pieces) if held == piece][nth]


def spread(values, **change):
    return {str(value): 1 / len(values) for value in values} | change


def full(pieces):
    """Lists for the default cut: digits at the digits, first pieces at the flag."""
    digits = [number for number, piece in enumerate(pieces) if piece.isdigit()]
    return {
        digits[0]: {"1": 0.6, "0": 0.2, "2": 0.05, "3": 0.05, "9": 0.09, "x": 0.01 - 1e-9, "y": 1e-9},
        digits[1]: spread(range(4)),
        place(pieces, "su"): {"su": 0.5, "none": 0.3, "self": 0.1, "viol": 0.1 - 1e-9, "z": 1e-9},
        digits[2]: spread(range(10)),
    }


def test_shares_are_taken_among_valid_values(scheme):
    pieces = cut(scheme)
    found = probabilities(scheme, LABELS, answer(pieces, full(pieces)))
    assert list(found) == list(scheme.names)
    assert found["depression_level"] == pytest.approx({"0": 2 / 9, "1": 6 / 9, "2": 0.5 / 9, "3": 0.5 / 9})
    assert found["risk_flag"] == pytest.approx({"none": 0.3, "suicidal": 0.5, "self_harm": 0.1, "violence": 0.1})
    assert all(abs(sum(of.values()) - 1) < 1e-12 for of in found.values())


def test_a_token_may_span_what_stands_around_the_value(scheme):
    pieces = cut(scheme, extra=r'": \d, "')
    lists = full(cut(scheme))
    lists = {
        place(pieces, '": 1, "'): {'": 1, "': 0.5, '": 2, "': 0.25, '": 3': 0.2, '":0, "': 0.05 - 1e-9, "z": 1e-9},
        place(pieces, '": 0, "'): {f'": {n}, "': 0.25 for n in range(4)},
        place(pieces, "su"): {"su": 0.5, "none": 0.3, "self": 0.1, "viol": 0.1 - 1e-9, "z": 1e-9},
        place(pieces, "4"): spread(range(10)),
    }
    found = probabilities(scheme, LABELS, answer(pieces, lists))
    # 0 stands only behind another spelling of the colon, so nothing says how likely it is here, but that it is rare.
    assert found["depression_level"] == pytest.approx({"0": 0, "1": 0.5 / 0.95, "2": 0.25 / 0.95, "3": 0.2 / 0.95})


def test_values_that_begin_alike_are_followed(scheme):
    pieces = [part for piece in cut(scheme) for part in (["s", "u"] if piece == "su" else [piece])]
    lists = full(cut(scheme))
    lists = {number + (number > place(pieces, "s")): of for number, of in lists.items() if "su" not in of}
    lists[place(pieces, "s")] = {"s": 0.8, "n": 0.1, "v": 0.1 - 1e-9, "z": 1e-9}
    lists[place(pieces, "u")] = {"u": 0.7, "elf": 0.1, "x": 0.2 - 1e-9, "z": 1e-9}
    found = probabilities(scheme, LABELS, answer(pieces, lists))["risk_flag"]
    assert found == pytest.approx({"none": 0.1, "violence": 0.1, "suicidal": 0.7, "self_harm": 0.1})


@pytest.mark.parametrize(
    "change",
    [
        {"su": 0.5, "s": 0.2, "none": 0.3},  # s leads to two values, and was not taken
        {"su": 0.5, "none": 0.5},  # what is not listed may be as likely as the least that is
        {},  # nothing is listed
    ],
)
def test_what_cannot_be_derived_is_none(scheme, change):
    pieces = cut(scheme)
    lists = full(pieces) | {place(pieces, "su"): change}
    assert probabilities(scheme, LABELS, answer(pieces, lists)) is None


def test_tokens_that_do_not_spell_the_answer_give_none(scheme):
    pieces = cut(scheme)
    tokens = answer(pieces, full(pieces))
    assert probabilities(scheme, {**LABELS, "anxiety_level": 3}, tokens) is None
    assert probabilities(scheme, LABELS, tokens[:-6]) is None
    assert probabilities(scheme, LABELS, []) is None


def test_reasoning_before_the_answer_is_passed_over(scheme):
    pieces = cut(scheme)
    tokens = answer(pieces, full(pieces))
    before = [token('<think>{"depression_level": 3}'), token("</think>"), Token(b"", 0.0, [])]
    assert probabilities(scheme, LABELS, before + tokens) == probabilities(scheme, LABELS, tokens)


def test_numbers_as_strings(scheme):
    pieces = re.findall(r"su|[a-z_]+|\d|[^a-z_\d]+", json.dumps({k: str(v) for k, v in LABELS.items()}))
    assert probabilities(scheme, LABELS, answer(pieces, full(pieces)))["anxiety_level"]["0"] == 0.25


def test_one_number_that_begins_another():
    wide = Scheme.from_dict({"fields": [{"name": "n", "kind": "ordinal", "values": [1, 2, 10, 11]}]})
    shares = {"1": 0.9, "2": 0.1 - 1e-9, "z": 1e-9}
    after = {"}": 0.5, "0": 0.3, "1": 0.2 - 1e-9, "z": 1e-9}
    found = probabilities(wide, {"n": 1}, answer(['{"n": ', "1", "}"], {1: shares, 2: after}))
    assert found["n"] == pytest.approx({"1": 0.45, "2": 0.1, "10": 0.27, "11": 0.18}, abs=1e-6)
    assert probabilities(wide, {"n": 10}, answer(['{"n": ', "10", "}"], {1: {"10": 0.9, "2": 0.1}})) is None


@given(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), st.sets(st.integers(1, 25)), st.integers(0, 3))
def test_any_cut_gives_the_true_distribution(weights, cuts, chosen):
    """A decoder that answers by the four weights, its tokens cut anywhere: each list holds what the true distribution says
    of the next piece, for every value, cut at the same places."""
    scheme = Scheme.from_dict(
        {"fields": [{"name": "flag", "kind": "nominal", "values": ["none", "no", "self", "sel"]}]}
    )
    values = scheme.fields[0].values
    answers = [canonical(scheme, {"flag": value}) for value in values]
    places = [0, *sorted(cuts), 99]
    tokens, alive = [], list(range(4))
    for begin, end in itertools.pairwise(places):
        pieces = {n: answers[n][begin:end] for n in alive}
        if not pieces[chosen]:
            continue
        total = sum(weights[n] for n in alive)
        top = {}
        for n, piece in pieces.items():
            top[piece] = top.get(piece, 0.0) + weights[n] / total
        tokens.append(token(pieces[chosen], {**top, "☃": 1e-9}))
        alive = [n for n in alive if pieces[n] == pieces[chosen]]
    found = probabilities(scheme, {"flag": values[chosen]}, tokens)
    # A piece that was not taken and leads to several values cannot be told apart; then nothing may be claimed.
    if found is not None:
        true = {value: weight / sum(weights) for value, weight in zip(values, weights, strict=True)}
        assert found["flag"] == pytest.approx(true, abs=0.011)
