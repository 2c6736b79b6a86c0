"""A bundle in a real llama-server, as docs/phone.md has it."""

import json
import urllib.request

import llama_server
import pytest

from mindgauge.answers import all_answers, parse
from mindgauge.files import read_json

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not llama_server.has_compiler(), reason="no C and C++ compiler to build llama-server with"),
]


def answer(url, **request):
    """What the model says to one user turn, drawn nearly evenly from what it may say."""
    body = {"messages": [{"role": "user", "content": "我睡不着。"}], "temperature": 5, "max_tokens": 200, **request}
    asked = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


def test_the_grammar_of_the_command_line_holds_for_every_request(bundled, scheme, tmp_path):
    out = bundled["bundle"]
    (gguf,) = out.glob("*.gguf")
    flags = ("--jinja", "--grammar-file", str(out / "grammar.gbnf"), "--ctx-size", "512", "--parallel", "1")
    with llama_server.serve(gguf, tmp_path / "log", *flags) as server:
        assert {answer(server.url, seed=seed) for seed in range(4)} <= set(all_answers(scheme))


def test_by_the_schema_labels_come_in_the_trained_order(bundled, scheme, tmp_path):
    out = bundled["bundle"]
    (gguf,) = out.glob("*.gguf")
    schema = {"type": "json_schema", "json_schema": {"schema": read_json(out / "schema.json")}}
    with llama_server.serve(gguf, tmp_path / "log", "--jinja", "--ctx-size", "512", "--parallel", "1") as server:
        said = answer(server.url, response_format=schema, temperature=0)
    assert list(json.loads(said)) == list(scheme.names) and parse(scheme, said)
