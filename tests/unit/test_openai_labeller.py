"""The backend `openai` where no model is needed: what it sends, how it reads replies, how it fails, and its bounds.

The server is a scripted one on 127.0.0.1 (faulty_proxy); tests/labelling asks a real one.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
import traceback

import pytest
from conftest import ROOT
from faulty_proxy import completion, proxy

from mindgauge.answers import canonical, gbnf, json_schema
from mindgauge.errors import UserError
from mindgauge.labellers import openai_server
from mindgauge.labellers.background import Background
from mindgauge.labellers.common import Answer, Asked

SECRET, KEY, INSTRUCTION = "我叫张敏", "sk-very-secret", "读学生的话，输出一行 JSON。"
LABELS = {"depression_level": 1, "anxiety_level": 0, "risk_flag": "none", "student_distress_score": 4}
TEXT = json.dumps(LABELS)
QUICK = {"model": "m", "instruction": INSTRUCTION, "retries": 0, "timeout": 5.0}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(autouse=True)
def nothing_is_told(caplog, capfd):
    """No log line and no output of any test holds a record's text or the key."""
    caplog.set_level(logging.DEBUG)
    yield
    said = caplog.text + "".join(capfd.readouterr())
    assert SECRET not in said and KEY not in said


def records(count):
    return [Asked(f"{n:016x}", f"{SECRET}，第{n}段话") for n in range(count)]


def ask(server, scheme, count=1, **options):
    return list(openai_server.label(records(count), scheme, url=server.url, **QUICK | options))


def failure(run):
    """The UserError of a call, once it is sure that nothing of a record or the key is in its traceback."""
    with pytest.raises(UserError) as error:
        run()
    told = "".join(traceback.format_exception(error.value))
    assert SECRET not in told and KEY not in told
    return str(error.value)


def test_an_answer_survives_json_and_hides_nothing_but_the_text():
    answer = Answer("a", LABELS, {"risk_flag": {"none": 1.0}}, {"risk_flag": ["rule"]}, "repaired: x")
    assert Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer
    assert SECRET not in repr(records(1))


def test_what_is_sent(scheme):
    with proxy(reply=completion(TEXT)) as server:
        for way in ({"server_grammar": "schema"}, {"server_grammar": "gbnf"}, {"decoding": "free"}):
            ask(server, scheme, **way, seed=7)
        ask(server, scheme, decoding="free", thinking=True, top_logprobs=0, temperature=0.5, max_thought=404)
        assert server.keys == {f"Bearer {KEY}"}
    check, schema, _, grammar, _, free, _, thinking = server.bodies
    content = f"{INSTRUCTION}\n{SECRET}，第0段话"
    assert check == {**schema, "max_tokens": 1, "messages": [{"role": "user", "content": f"{INSTRUCTION}\n"}]}
    common = {
        "model": "m",
        "messages": [{"role": "user", "content": content}],
        "temperature": 0.0,
        "seed": 7,
        "max_tokens": 96,
        "logprobs": True,
        "top_logprobs": 20,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    held = {"name": "answer", "strict": True, "schema": json_schema(scheme)}
    assert schema == {**common, "response_format": {"type": "json_schema", "json_schema": held}}
    assert grammar == {**common, "grammar": gbnf(scheme)} and free == common
    bare = {"model": "m", "messages": common["messages"], "temperature": 0.5, "seed": 0, "max_tokens": 500}
    assert thinking == bare


def test_without_a_key_none_is_sent(scheme, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with proxy(reply=completion(TEXT)) as server:
        ask(server, scheme)
        assert server.keys == {"Bearer none"}


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (completion(TEXT), ""),
        (completion(f"好的：{TEXT}"), "repaired: words around it"),
        (completion(f"{SECRET}…"), "no JSON object with a label"),
        (completion(TEXT, finish_reason="length"), "cut off after 96 tokens or at the end of the context"),
        (completion(TEXT, finish_reason="content_filter"), "refused by the server"),
        (completion(None, message={"role": "assistant", "content": None, "refusal": SECRET}), "refused by the server"),
        (completion(""), "an empty answer"),
        (completion(None), "an empty answer"),
        ({"choices": []}, "the reply is no chat completion"),
        ({"choices": [{"message": None}]}, "the reply is no chat completion"),
        ({"choices": [{"message": TEXT}]}, "an empty answer"),
        ({"error": SECRET}, "the reply is no chat completion"),
        ([1], "the reply is no chat completion"),
        (SECRET, "the reply is no chat completion"),
        (completion(TEXT, logprobs={"content": [{"token": 1}]}), ""),
        (completion(TEXT, logprobs={"content": [{"token": "{", "logprob": None, "top_logprobs": None}]}), ""),
        (completion(TEXT, logprobs=[1]), ""),
    ],
)
def test_replies_are_read_and_faults_counted(scheme, reply, fault):
    with proxy(reply=lambda body: completion("{") if body["max_tokens"] == 1 else reply) as server:
        (answer,) = ask(server, scheme)
    assert answer.fault == fault and answer.probabilities is None
    assert answer.labels == (None if fault and not fault.startswith("repaired") else LABELS)


def test_probabilities_come_from_the_tokens_listed(scheme):
    pieces = [f'{{"depression_level": {LABELS["depression_level"]}', ', "anxiety_level": 0', ', "risk_flag": "none"']
    pieces.append(', "student_distress_score": 4}')

    def listed(piece, field):
        others = [piece.replace(json.dumps(LABELS[field.name]), json.dumps(value)) for value in field.values]
        return [{"token": other, "logprob": -3.0, "bytes": list(other.encode())} for other in others]

    tokens = [
        {"token": piece, "logprob": -1.0, "top_logprobs": listed(piece, field)}
        for piece, field in zip(pieces, scheme.fields, strict=True)
    ]
    assert "".join(pieces) == canonical(scheme, LABELS)
    with proxy(reply=completion(TEXT, logprobs={"content": tokens})) as server:
        (answer,) = ask(server, scheme)
    # 20 alternatives reach every value, so nothing may be hidden beyond the list
    best = {name: max(of, key=of.get) for name, of in answer.probabilities.items()}
    assert best == {name: str(value) for name, value in LABELS.items()}
    assert all(abs(sum(of.values()) - 1) < 1e-9 for of in answer.probabilities.values())


def test_no_record_no_request(scheme):
    with proxy() as server:
        assert ask(server, scheme, 0) == [] and server.bodies == []


def test_a_record_that_is_rejected_alone_is_a_fault_of_its_own(scheme):
    def rule(number, body):
        text = body["messages"][0]["content"]
        if "第1段" in text:
            return 400, {}, f"maximum context length is 8 tokens, you asked {SECRET}"
        return (422, {}, f"odd: {SECRET}") if "第2段" in text else None

    with proxy(rule=rule, reply=completion(TEXT)) as server:
        faults = {answer.id: answer.fault for answer in ask(server, scheme, 4)}
    assert faults == {
        f"{0:016x}": "",
        f"{1:016x}": "rejected by the server (400): too long for its context",
        f"{2:016x}": "rejected by the server (422)",
        f"{3:016x}": "",
    }


def test_logprobs_are_left_out_where_they_are_refused(scheme, capfd):
    with proxy(
        rule=lambda n, body: (400, {}, "no logprobs") if "logprobs" in body else None, reply=completion(TEXT)
    ) as server:
        (answer,) = ask(server, scheme)
    assert answer.labels == LABELS and answer.probabilities is None
    assert "refuses logprobs" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("status", "models", "said"),
    [
        (401, ["m"], ["refuses the key (401)", "OPENAI_API_KEY"]),
        (403, ["m"], ["refuses the key (403)"]),
        (404, ["other", "m2"], ["has no model 'm' (404)", "one of other, m2"]),
        (404, ["m"], ["no chat completions here (404)", "/v1"]),
        (404, None, ["no chat completions here (404)"]),
        (307, ["m"], ["no chat completions here (307)"]),
        (400, ["m"], ["rejects what it is asked (400)", "no such thing", "label.server_grammar"]),
        (429, ["m"], ["turns requests away (429)", "label.concurrency"]),
        (503, ["m"], ["fails (503), after 0 retries"]),
    ],
)
def test_a_server_that_serves_nobody_is_an_error_at_once(scheme, status, models, said):
    headers = {"Location": "http://127.0.0.1:9/v1/chat/completions"}
    with proxy(rule=lambda number, body: (status, headers, "no such thing")) as server:
        server.models = models
        message = failure(lambda: ask(server, scheme, 3))
        assert all(part in message for part in [*said, server.url])
        assert not any(SECRET in json.dumps(body, ensure_ascii=False) for body in server.bodies)


@pytest.mark.parametrize(("status", "models"), [(401, None), (404, ["other"])])
def test_a_key_in_the_address_is_not_told(scheme, status, models):
    with proxy(rule=lambda number, body: (status, {}, "no")) as server:
        server.models = models
        address = f"{server.url}?api-key={KEY}#{KEY}"
        message = failure(lambda: list(openai_server.label(records(1), scheme, url=address, **QUICK)))
    assert f"label.url: {server.url}" in message and "api-key" not in message


def test_what_is_no_such_server_is_said(scheme):
    with proxy(reply={"hello": 1}) as server:
        assert "no OpenAI-compatible server" in failure(lambda: ask(server, scheme))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "127.0.0.1:8000"}, "no address"),
        ({"url": "http://[::1/v1"}, "no address"),
        ({"url": f"http://u:{KEY}@127.0.0.1/v1"}, "a password stands in the address"),
        ({"url": "http://127.0.0.1/v1", "server_grammar": "gbnf", "thinking": True}, "keeps a thinking model"),
    ],
)
def test_options_that_cannot_work(scheme, options, said):
    assert said in failure(lambda: list(openai_server.label(records(1), scheme, **QUICK | options)))


def test_a_key_no_header_can_hold(scheme, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "é")
    with proxy() as server:
        assert "no header can" in failure(lambda: ask(server, scheme))


def test_retries_wait_as_long_as_they_are_told(scheme):
    with proxy(
        rule=lambda n, body: (429, {"Retry-After": "1.2"}, "") if n == 1 else None, reply=completion(TEXT)
    ) as server:
        (answer,) = ask(server, scheme, retries=1)
        assert answer.labels == LABELS and 1.2 <= server.times[2] - server.times[1] < 3


def test_500_silence_and_half_replies_are_tried_again(scheme):
    faults = {1: (500, {}, SECRET), 2: 1.0, 3: "truncate"}
    with proxy(rule=lambda number, body: faults.get(number), reply=completion(TEXT)) as server:
        (answer,) = ask(server, scheme, retries=3, timeout=0.5)
        assert answer.labels == LABELS and len(server.bodies) == 5


@pytest.mark.parametrize(
    ("fault", "said"), [((500, {}, SECRET), "the server fails (500)"), (1.0, "no answer within 0.3 s")]
)
def test_a_record_on_which_a_living_server_fails_is_a_fault(scheme, fault, said):
    def rule(number, body):
        return fault if "第1段" in body["messages"][0]["content"] else None

    with proxy(rule=rule, reply=completion(TEXT)) as server:
        answers = {answer.id: answer for answer in ask(server, scheme, 3, timeout=0.3)}
    bad = answers.pop(f"{1:016x}")
    assert bad.labels is None and bad.fault == f"{said}, after 0 retries"
    assert all(answer.labels == LABELS for answer in answers.values())


def test_a_server_that_dies_midway_is_an_error_after_its_answers(scheme):
    with proxy(rule=lambda n, body: (500, {}, SECRET) if n > 5 else None, reply=completion(TEXT)) as server:
        got = []

        def run():
            for answer in openai_server.label(records(50), scheme, url=server.url, concurrency=1, **QUICK):
                got.append(answer)

        assert "fails (500)" in failure(run)
    assert len(got) == 5 and all(answer.labels for answer in got)


def test_no_more_is_asked_nor_read_than_may_be_in_flight(scheme):
    read = 0

    def source():
        nonlocal read
        for asked in records(40):
            read += 1
            yield asked

    with proxy(rule=lambda number, body: 0.02, reply=completion(TEXT)) as server:
        caller = threading.current_thread()
        taken = 0
        for _ in openai_server.label(source(), scheme, url=server.url, concurrency=4, **QUICK):
            taken += 1
            assert read < taken + 4 and threading.current_thread() is caller
        assert taken == 40 and server.most == 4


def test_closing_cancels_what_is_in_flight(scheme):
    with proxy(rule=lambda number, body: 4.0 if number > 2 else None, reply=completion(TEXT)) as server:
        answers = openai_server.label(records(20), scheme, url=server.url, concurrency=3, **QUICK)
        next(answers)
        start = time.monotonic()
        answers.close()
        assert time.monotonic() - start < 2 and len(server.bodies) <= 5
        assert not [thread for thread in threading.enumerate() if thread.name == "background"]


def test_an_iterator_left_open_does_not_keep_the_program(scheme):
    """A program that ends with the iterator in a global variable ends, and cancels nothing for ever."""
    program = (
        "import sys; from pathlib import Path; from mindgauge.labellers import openai_server;"
        "from mindgauge.labellers.common import Asked; from mindgauge.labels import Scheme;"
        "answers = openai_server.label((Asked(str(n), 'x') for n in range(9)), Scheme.load(Path('config/labels.yaml')),"
        "url=sys.argv[1], model='m', instruction='i', concurrency=3); print(next(answers).labels)"
    )
    with proxy(rule=lambda number, body: 4.0 if number > 2 else None, reply=completion(TEXT)) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url],
            capture_output=True,
            text=True,
            timeout=20,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "workflow/scripts")},
        )
    assert done.returncode == 0 and "risk_flag" in done.stdout, done.stderr


def test_what_one_raises_comes_after_the_results_before_it():
    background = Background()

    async def work(number):
        if number == 2:
            raise ValueError(number)
        return number

    def items():
        yield from (0, 1, 2)
        time.sleep(0.3)  # all three have ended when the first is taken
        yield 3

    got = []
    try:
        with pytest.raises(ValueError):
            for result in background.each(work, items(), 4):
                got.append(result)
    finally:
        background.close()
    assert {0, 1} <= set(got)
