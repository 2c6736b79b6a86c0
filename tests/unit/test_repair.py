"""Answers of free generation: what is repaired, what is not, and that nothing of the text is quoted."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgauge.answers import all_answers, canonical, parse, repair
from mindgauge.labels import Scheme

GOOD = {"depression_level": 1, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 4}
TEXT = json.dumps(GOOD)
SECRET = "我叫张敏"
SCHEME = Scheme.load(Path(__file__).parents[2] / "config/labels.yaml")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (TEXT, ""),
        (f"\n {TEXT}\n", ""),
        (TEXT.replace(" ", ""), ""),
        (f"<think>\n\n</think>\n\n{TEXT}", ""),
        (f"```json\n{TEXT}\n```", "words around it"),
        (f"{SECRET}：{TEXT}。以上", "words around it"),
        (f"<think>{SECRET} {{}} </think>{TEXT}", "reasoning before it"),
        (f"<think>也许 {json.dumps({**GOOD, 'risk_flag': 'suicidal'})}</think>{TEXT}", "reasoning before it"),
        (json.dumps(dict(reversed(GOOD.items()))), "keys in another order"),
        (json.dumps({**GOOD, "depression_level": "1"}), "numbers as strings"),
        (json.dumps({**GOOD, "reason": SECRET}), "keys of no label"),
        (json.dumps({"answer": GOOD}), "words around it"),
        (f"{TEXT}\n{TEXT}", "words around it"),
        ('{"a": {' + TEXT, "words around it"),
        (
            json.dumps({"reason": SECRET, **{k: str(v) for k, v in GOOD.items()}}),
            "keys of no label, numbers as strings",
        ),
    ],
)
def test_what_is_repaired(scheme, text, note):
    labels, said = repair(scheme, text)
    assert labels == GOOD and list(labels) == list(scheme.names)
    assert said == (f"repaired: {note}" if note else "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON object"),
        (SECRET, "no JSON object"),
        (TEXT[:-1], "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"a": 1}', "no JSON object"),
        ("{" * 5000, "no JSON object"),
        ('{"a":' * 5000, "no JSON object"),
        ('{"depression_level": ' + "1" * 5000 + "}", "no JSON object"),
        (f"<think>{TEXT}", "the reasoning has no end"),
        (f"</think><think>{TEXT}", "the reasoning has no end"),
        (json.dumps({**GOOD, "depression_level": 4}), "depression_level is not one of"),
        (json.dumps({**GOOD, "depression_level": "2/3"}), "depression_level is not one of"),
        (json.dumps({**GOOD, "depression_level": "２"}), "depression_level is not one of"),
        (json.dumps({**GOOD, "depression_level": " 1"}), "depression_level is not one of"),
        (json.dumps({**GOOD, "depression_level": 1.0}), "depression_level is not one of"),
        (json.dumps({**GOOD, "depression_level": True}), "depression_level is not one of"),
        (json.dumps({**GOOD, "depression_level": None}), "depression_level is not one of"),
        (json.dumps({**GOOD, "depression_level": [1]}), "depression_level is not one of"),
        (json.dumps({**GOOD, "risk_flag": SECRET}), "risk_flag is not one of"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "risk_flag"}), "risk_flag is missing"),
        (TEXT[:-1] + ', "risk_flag": "none"}', "a key stands twice"),
        (f"{TEXT} {json.dumps({**GOOD, 'anxiety_level': 2})}", "several answers that differ"),
        (TEXT + ' {"risk_flag": "none"}', "several answers that differ"),
    ],
)
def test_what_is_not(scheme, text, reason):
    labels, said = repair(scheme, text)
    assert labels is None and said.startswith(reason) and SECRET not in said


@given(
    st.sampled_from(all_answers(SCHEME)),
    st.permutations(range(4)),
    st.sets(st.integers(0, 3)),
    st.text(st.characters(exclude_characters="{}<>"), max_size=40),
    st.text(st.characters(exclude_characters="{}<>"), max_size=40),
)
def test_every_answer_survives_order_strings_and_prose(answer, order, strings, before, after):
    labels = parse(SCHEME, answer)
    items = [(name, str(labels[name]) if n in strings else labels[name]) for n, name in enumerate(SCHEME.names)]
    text = before + json.dumps(dict(items[n] for n in order), indent=1) + after
    assert repair(SCHEME, text)[0] == labels


WORDS = st.lists(
    st.sampled_from(
        [*'{}[]":,<>/ \n', "think", "</think>", "<think>", "```", "\\", TEXT, *SCHEME.names, "none", "1", "7e9", "null"]
    ),
    max_size=30,
).map("".join)


@given(st.one_of(st.text(), WORDS))
def test_any_text_gives_valid_labels_or_none_and_a_reason(text):
    labels, note = repair(SCHEME, text)
    if labels is None:
        assert note and not note.startswith("repaired")
    else:
        canonical(SCHEME, labels)


@given(st.sampled_from(all_answers(SCHEME)), st.randoms())
def test_one_changed_character_never_raises_nor_invents(answer, draw: random.Random):
    place = draw.randrange(len(answer))
    labels, _ = repair(SCHEME, answer[:place] + draw.choice('0123456789"{}:, x') + answer[place + 1 :])
    if labels is not None:
        assert sum(labels[name] != parse(SCHEME, answer)[name] for name in SCHEME.names) <= 1
