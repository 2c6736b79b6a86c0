"""The backend `openai` before a real llama-server with a tiny model, and with faults injected between the two."""

import json
import logging
import math
from pathlib import Path

import llama_server
import pytest
from conftest import ROOT
from faulty_proxy import proxy

from mindgauge import chat, converting, tiny_models
from mindgauge.answers import all_answers, canonical
from mindgauge.errors import UserError
from mindgauge.labellers import openai_server
from mindgauge.labellers.common import Asked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not llama_server.has_compiler(), reason="no C and C++ compiler to build llama-server with"),
]

INSTRUCTION = "读学生的话，输出一行 JSON。"
TEMPLATE = (ROOT / "config/templates/qwen3.jinja").read_text(encoding="utf-8")
OPTIONS = {"model": "tiny-qwen3", "instruction": INSTRUCTION, "retries": 1, "timeout": 30.0}
CONTEXT = 512


@pytest.fixture(scope="module")
def model(tmp_path_factory, scheme):
    """A tiny Qwen3 that has seen what a dialogue with an answer looks like: the GGUF, and the chat of its tokenizer."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    root: Path = tmp_path_factory.mktemp("openai")
    rendered = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE)
    dialogues = [
        rendered.render(
            messages=[
                {"role": "user", "content": f"{INSTRUCTION}\n第{number}段话，我睡不着。"},
                {"role": "assistant", "content": all_answers(scheme)[number * 37 % 640]},
            ]
        ).removesuffix("<|im_end|>")  # documents() ends each with it
        for number in range(64)
    ]
    tiny_models.make("tiny-qwen3", ROOT / "data/sample", dialogues, root / "base", steps=60)
    settings = root / "base/tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "chat_template": TEMPLATE}))
    for name in ("gguf", "work"):
        (root / name).mkdir()
    converting.convert(root / "base", root / "gguf", root / "work", "tiny-qwen3", "f16")
    return root / "gguf/model.gguf", chat.Chat.load(root / "base", TEMPLATE, "qwen3")


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    """The server: four records at once, 512 tokens each."""
    log = tmp_path_factory.mktemp("server") / "server.log"
    with llama_server.serve(model[0], log, "--parallel", "4", "--ctx-size", str(4 * CONTEXT)) as running:
        yield running


def records(count):
    return [Asked(f"{n:016x}", f"第{n}段话，" + "我睡不着😢，考试前心里发慌。\n" * (1 + n % 3)) for n in range(count)]


def ask(url, scheme, asked=None, **options):
    asked = records(12) if asked is None else asked
    return {answer.id: answer for answer in openai_server.label(asked, scheme, url=url, **OPTIONS | options)}


@pytest.fixture(scope="module")
def alone(server, scheme):
    """The answers one by one."""
    return ask(server.url, scheme, concurrency=1)


def told(error):
    return str(error.value)


@pytest.mark.parametrize("way", [{"server_grammar": "schema"}, {"server_grammar": "gbnf"}, {"decoding": "free"}])
def test_a_real_server_labels_every_record(server, scheme, alone, way):
    answers = ask(server.url, scheme, **way, concurrency=4)
    assert answers.keys() == {asked.id for asked in records(12)}
    for answer in answers.values():
        assert answer.fault == "" and canonical(scheme, answer.labels)
        assert list(answer.probabilities) == list(scheme.names)
        for field in scheme.fields:
            shares = answer.probabilities[field.name]
            assert list(shares) == [str(value) for value in field.values]
            assert math.isclose(sum(shares.values()), 1) and all(0 <= share <= 1 for share in shares.values())


def test_several_at_once_say_what_one_by_one_says(server, scheme, alone):
    several = ask(server.url, scheme, concurrency=4)
    for name, one in alone.items():
        for label in scheme.names:
            if several[name].labels[label] != one.labels[label]:
                # Batches of another size sum in another order: the two best values must be a near tie.
                best, second = sorted(one.probabilities[label].values(), reverse=True)[:2]
                assert best - second < 0.01, f"{name} {label}"
                break  # what follows is conditioned on another beginning


def test_the_probabilities_are_those_of_the_logits(model, scheme, alone):
    """Asked of llama.cpp in process: the logits of the four levels after the prompt and `{"depression_level": `."""
    import numpy
    from llama_cpp import Llama

    llama = Llama(str(model[0]), n_ctx=CONTEXT, seed=0, verbose=False)
    talk, field = model[1], scheme.fields[0]
    begin = f'{{"{field.name}": '
    values = []
    for value in field.values:
        ids = talk.ids(begin + str(value) + ",")
        values.append(ids[len(talk.ids(begin))])
        assert ids[: len(talk.ids(begin))] == talk.ids(begin)
    for asked in records(12)[:4]:
        llama.reset()
        llama.eval(talk.ids(talk.render(INSTRUCTION, asked.text) + begin))
        pointer = llama._ctx.get_logits_ith(-1)
        logits = numpy.ctypeslib.as_array(pointer, (llama.n_vocab(),))[values].astype(float)
        shares = numpy.exp(logits - logits.max())
        found = list(alone[asked.id].probabilities[field.name].values())
        assert numpy.abs(shares / shares.sum() - found).max() < 5e-3


def test_a_cut_off_and_a_too_long_record_are_faults_of_their_own(server, scheme, monkeypatch):
    asked = [*records(3), Asked("f" * 16, "睡不着" * 2000)]
    answers = ask(server.url, scheme, asked, concurrency=2)
    assert answers["f" * 16].labels is None and "too long for its context" in answers["f" * 16].fault
    assert all(answer.labels for name, answer in answers.items() if name != "f" * 16)
    monkeypatch.setattr(openai_server, "ANSWER", 8)
    short = ask(server.url, scheme, records(2))
    assert all(answer.labels is None and "cut off after 8 tokens" in answer.fault for answer in short.values())


def test_faults_between_are_retried_or_counted(server, scheme, alone):
    def rule(number, body):
        """Every kind of fault on a first try; one record is always answered by halves."""
        text = body["messages"][0]["content"]
        if "第5段" in text:
            return lambda reply: {
                **reply,
                "choices": [
                    {**reply["choices"][0], "message": {"role": "assistant", "content": '{"depression_level": 1, "anx'}}
                ],
            }
        seen = sum(held["messages"] == body["messages"] for held in between.bodies[: number + 1])
        faults = [(429, {"Retry-After": "1"}, "slow down"), (500, {}, "oops"), 2.0, "truncate"]
        return faults[number % 4] if seen == 1 and number else None

    with proxy(server.url, rule) as between:
        answers = ask(between.url, scheme, concurrency=3, retries=3, timeout=1.5)
        assert len(between.bodies) >= 2 * 11 and between.most <= 3 + 3  # those that timed out may still be at work
    bad = answers.pop(f"{5:016x}")
    assert bad.labels is None and bad.fault == "no JSON object with a label"
    assert len(answers) == 11 and all(answer.labels for answer in answers.values())
    assert sum(answer.labels == alone[name].labels for name, answer in answers.items()) >= 9  # near ties aside


def test_a_key_is_asked_for_and_never_told(model, scheme, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    with llama_server.serve(model[0], tmp_path / "log", "--api-key", "sk-secret") as locked:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
        with pytest.raises(UserError) as error:
            ask(locked.url, scheme)
        assert "refuses the key (401)" in told(error) and "label.url" in told(error) and "sk-" not in told(error)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        assert ask(locked.url, scheme, records(1))[f"{0:016x}"].labels
    assert "sk-" not in caplog.text and "睡不着" not in caplog.text


def test_a_server_that_is_killed_midway(model, scheme, tmp_path):
    got = []
    with llama_server.serve(model[0], tmp_path / "log") as doomed:
        with pytest.raises(UserError) as error:
            for answer in openai_server.label(records(12), scheme, url=doomed.url, concurrency=2, **OPTIONS):
                got.append(answer)
                if len(got) == 3:
                    doomed.kill()
        assert "cannot be reached, after 1 retries" in told(error) and doomed.url in told(error)
    # Those in flight when it died may have come to their end.
    assert 3 <= len(got) <= 5 and len({answer.id for answer in got}) == len(got) and all(a.labels for a in got)


def test_nobody_listens(scheme):
    with pytest.raises(UserError) as error:
        ask(f"http://127.0.0.1:{llama_server.free_port()}/v1", scheme)
    assert "cannot be reached" in told(error) and "start the server" in told(error)


def test_an_unknown_route(server, scheme):
    with pytest.raises(UserError) as error:
        ask(server.url.replace("/v1", "/v2"), scheme)
    assert "no chat completions here (404)" in told(error) and "/v1" in told(error)
