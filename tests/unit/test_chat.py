"""A template and a tokenizer that do not belong together."""

import re

import pytest
from jinja2 import Template

from mindgauge.chat import END_TOKENS, Chat
from mindgauge.errors import UserError

END = END_TOKENS["qwen3"]
USER = "U:{{ messages[0].content }}"
FITTING = USER + "A:{% if not add_generation_prompt %}{{ messages[1].content }}" + END + "{% endif %}"


class Letters:
    """A tokenizer whose tokens are the end token, `joined`, and single characters."""

    unk_token_id = None

    def __init__(self, joined=END):
        self.cut = re.compile(f"{re.escape(END)}|{re.escape(joined)}|.", re.DOTALL)
        self.known = {END: 0}

    def convert_tokens_to_ids(self, token):
        return self.known.get(token)

    def apply_chat_template(self, messages, chat_template, tokenize, add_generation_prompt):
        return Template(chat_template).render(messages=messages, add_generation_prompt=add_generation_prompt)

    def __call__(self, text, add_special_tokens):
        return {"input_ids": [self.known.setdefault(token, len(self.known)) for token in self.cut.findall(text)]}


@pytest.mark.parametrize(
    ("template", "joined", "said"),
    [
        (
            USER + "{% if add_generation_prompt %}A:{% else %}{{ messages[1].content }}" + END + "{% endif %}",
            END,
            "right after",
        ),
        (FITTING, ":{", "tokenised differently"),
        (FITTING.replace(END, END + END), END, "end with the end token"),
    ],
)
def test_a_mismatch_is_the_users_to_mend_and_no_text_is_shown(template, joined, said):
    row = {"instruction": "读", "input": "我睡不着", "output": '{"a": 1}'}
    fitting = Chat(Letters(), FITTING, "qwen3").example(row, 100)
    assert fitting.completion[-1] == 0 and len(fitting.completion) == len(row["output"]) + 1
    with pytest.raises(UserError, match=said) as refused:
        Chat(Letters(joined), template, "qwen3").example(row, 100)
    message = refused.value.message()
    assert "family: qwen3" in message and "instead:" in message
    assert not any(text in message for text in row.values())
