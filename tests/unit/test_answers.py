import json

import pytest

from mindgauge.answers import AnswerError, all_answers, canonical, gbnf, json_schema, parse
from mindgauge.errors import UserError
from mindgauge.labels import Scheme

GOOD = {"depression_level": 1, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 4}


def test_canonical_is_one_line_in_key_order(scheme):
    text = '{"depression_level": 1, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 4}'
    assert canonical(scheme, dict(reversed(GOOD.items()))) == text
    assert parse(scheme, f" {text}\n") == GOOD


def test_there_are_640_answers_and_each_parses(scheme):
    answers = all_answers(scheme)
    assert len(set(answers)) == 640
    assert all(canonical(scheme, parse(scheme, text)) == text for text in answers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[1]",
        '{"depression_level": 1}',
        json.dumps(dict(reversed(GOOD.items()))),
        json.dumps({**GOOD, "depression_level": 4}),
        json.dumps({**GOOD, "depression_level": True}),
        json.dumps({**GOOD, "depression_level": 1.0}),
        json.dumps({**GOOD, "depression_level": "1"}),
        json.dumps({**GOOD, "more": 1}),
        json.dumps(GOOD)[:-1] + ', "risk_flag": "none"}',
        json.dumps(GOOD) + " and so on",
    ],
)
def test_anything_else_is_refused_without_quoting_it(scheme, text):
    with pytest.raises(AnswerError) as error:
        parse(scheme, text)
    assert "and so on" not in str(error.value)


def test_the_grammar_allows_exactly_the_answers(scheme):
    """Walks the grammar's alternatives: llama.cpp's own parser is asked in test_gguf."""
    import itertools
    import re

    rule = gbnf(scheme).removeprefix("root ::= ").strip()
    parts = re.findall(r'\(([^)]*)\)|("(?:[^"\\]|\\.)*")', rule)
    choices = [
        [json.loads(item) for item in group.split(" | ")] if group else [json.loads(literal)]
        for group, literal in parts
    ]
    assert {"".join(words) for words in itertools.product(*choices)} == set(all_answers(scheme))


def test_the_schema_lists_values(scheme):
    schema = json_schema(scheme)
    assert schema["properties"]["student_distress_score"]["enum"] == list(range(10))
    assert schema["required"] == list(scheme.names)


def test_a_scheme_survives_json(scheme):
    assert Scheme.from_dict(json.loads(json.dumps(scheme.to_dict()))) == scheme


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "other"}, "ordinal or nominal"),
        ({"values": [1]}, "at least two"),
        ({"values": ["a", "b"]}, "whole numbers"),
        ({"anchors": {9: "x"}}, "no value"),
        ({"colour": 1}, "unknown key 'colour'"),
    ],
)
def test_a_wrong_scheme_is_explained(change, said):
    field = {"name": "x", "kind": "ordinal", "values": [0, 1], **change}
    with pytest.raises(UserError, match=said):
        Scheme.from_dict({"fields": [field]})


def test_the_instruction_is_filled_from_the_scheme(scheme):
    text = scheme.instruction("keys {{ keys }}\n{{ anchors }}")
    assert all(name in text for name in scheme.names) and "{{" not in text
    with pytest.raises(UserError, match="keys"):
        scheme.instruction("nothing to fill")
