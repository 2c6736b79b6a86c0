"""The labellers that ask a model, on the tiny models: prompts in the model's own template, valid answers, and no answer lost or
given twice when a job is killed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import INSTRUCTION, ROOT

from mindgauge import labellers
from mindgauge.answers import canonical
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl
from mindgauge.labellers import llama_cpp, transformers
from mindgauge.labellers.asking import CLOSE, Asking
from mindgauge.labellers.common import Asked
from mindgauge.records import Record, Turn, write_records

OPTIONS = {
    "instruction": INSTRUCTION,
    "context": 512,
    "decoding": "constrained",
    "thinking": False,
    "max_thought": 8,
    "temperature": 0.0,
    "seed": 0,
}
ASKED = [Asked(f"{number:016x}", f"{'甲乙丙丁'[number % 4]}事第{number}次") for number in range(12)]


def by_backend(made, backend):
    module, part = {"llama-cpp": (llama_cpp, "convert"), "transformers": (transformers, "merge")}[backend]
    return module, made[part] / "model.gguf" if backend == "llama-cpp" else made[part]


def answered(made, scheme, backend, asked=ASKED, **change):
    module, path = by_backend(made, backend)
    return {of.id: of for of in module.label(iter(asked), scheme, path=path, **{**OPTIONS, **change})}


@pytest.mark.parametrize("backend", ["llama-cpp", "transformers"])
def test_answers_are_valid_with_a_probability_for_each_value(made, scheme, backend):
    found = answered(made, scheme, backend)
    assert set(found) == {one.id for one in ASKED}
    for of in found.values():
        assert canonical(scheme, of.labels) and not of.fault
        for field in scheme.fields:
            given = of.probabilities[field.name]
            assert list(given) == [str(value) for value in field.values]
            assert sum(given.values()) == pytest.approx(1, abs=1e-4)
            assert given[str(of.labels[field.name])] == max(given.values())


def test_both_backends_say_the_same_of_the_same_weights(made, scheme):
    one, other = (answered(made, scheme, backend) for backend in ("llama-cpp", "transformers"))
    for name, of in one.items():
        for label, given in of.probabilities.items():
            if of.labels == other[name].labels:  # else the labels after the first that differs are asked of other words
                assert given == pytest.approx(other[name].probabilities[label], abs=0.03)
    assert sum(of.labels == other[name].labels for name, of in one.items()) >= len(one) - 1


@pytest.mark.parametrize("backend", ["llama-cpp", "transformers"])
def test_seeds_draw_other_answers_and_the_same_ones_again(made, scheme, backend):
    def drawn(seed):
        return [of.labels for of in answered(made, scheme, backend, temperature=1.5, seed=seed).values()]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize("backend", ["llama-cpp", "transformers"])
def test_free_answers_are_parsed_and_failures_told(made, scheme, backend):
    found = answered(made, scheme, backend, decoding="free")
    for of in found.values():
        assert (of.labels is None) == bool(of.fault and not of.fault.startswith("repaired"))
        assert of.labels is None or canonical(scheme, of.labels)
        assert not any(word in of.fault for word in "甲乙丙丁")


@pytest.mark.parametrize("backend", ["llama-cpp", "transformers"])
def test_a_model_may_think_before_it_answers(made, scheme, backend):
    found = answered(made, scheme, backend, ASKED[:3], thinking=True)
    assert all(canonical(scheme, of.labels) for of in found.values())


@pytest.mark.parametrize("backend", ["llama-cpp", "transformers"])
def test_a_long_text_loses_its_beginning(made, scheme, backend):
    long, end = "很久以前的事。" * 300, "甲事第0次"
    found = answered(made, scheme, backend, [Asked("a", long + end), Asked("b", end)], context=256)
    assert len(found) == 2 and all(of.labels for of in found.values())
    with pytest.raises(UserError, match="the instruction alone is longer"):
        answered(made, scheme, backend, [Asked("a", end)], context=100, instruction="长" * 400)


def test_the_prompt_is_the_one_training_used(made, scheme):
    """The GGUF and the tokenizer carry the pinned template, so a model of ours asked as a labeller reads what it was trained on."""
    from transformers import AutoTokenizer

    from mindgauge import chat
    from mindgauge.inference import load_gguf

    template = (ROOT / f"config/templates/{made['family']}.jinja").read_text()
    wanted = chat.Chat.load(made["merge"], template, made["family"])
    wanted = wanted.ids(wanted.render(INSTRUCTION, "我睡不着😢"))
    llama = load_gguf(made["convert"] / "model.gguf", 512, weights=False)
    tokenizer = AutoTokenizer.from_pretrained(str(made["merge"]), local_files_only=True)
    assert llama_cpp.asking_of(llama, made["convert"], INSTRUCTION, False).prompt("我睡不着😢", 512) == wanted
    assert transformers.asking_of(tokenizer, made["merge"], INSTRUCTION, False).prompt("我睡不着😢", 512) == wanted


@pytest.mark.parametrize(
    ("prompt", "thinking", "wanted"),
    [
        ("<think>\n", False, f"<think>\n{CLOSE}\n\n"),  # DeepSeek-R1's template opens the thought
        ("<think>\n", True, "<think>\n"),
        (f"<think>\n\n{CLOSE}\n\n", False, f"<think>\n\n{CLOSE}\n\n"),  # Qwen3's closes it
        ("assistant\n", False, "assistant\n"),
    ],
)
def test_an_opened_thought_is_closed_where_reasoning_is_off(prompt, thinking, wanted):
    assert Asking(lambda content, thinks: prompt, list, "i", thinking).rendered("t") == wanted


def test_a_gguf_without_a_template_is_told(made, scheme, tmp_path):
    path = tmp_path / "bare.gguf"
    data = (made["convert"] / "model.gguf").read_bytes()
    assert data.count(b"tokenizer.chat_template") == 1
    path.write_bytes(data.replace(b"tokenizer.chat_template", b"tokenizer.chat_nothing!"))
    with pytest.raises(UserError, match="carries no chat template") as error:
        list(llama_cpp.label(iter(ASKED), scheme, path=path, **OPTIONS))
    assert "bare.gguf" in str(error.value) and "instruct" in str(error.value)


@pytest.mark.parametrize("backend", ["llama-cpp", "transformers"])
def test_what_is_no_model_is_told(scheme, tmp_path, backend):
    path = tmp_path / ("x.gguf" if backend == "llama-cpp" else "x")
    path.write_bytes(b"GGUF but no more") if backend == "llama-cpp" else path.mkdir()
    module = {"llama-cpp": llama_cpp, "transformers": transformers}[backend]
    with pytest.raises(UserError, match="cannot load"):
        list(module.label(iter(ASKED), scheme, path=path, **OPTIONS))


JOB = """
import json, sys
from pathlib import Path
from mindgauge import labellers
a = json.loads(sys.argv[1])
inputs = {name: Path(path) for name, path in a.pop("inputs").items()}
labellers.label(inputs, Path(a.pop("out")), Path(a.pop("answers")), **a)
"""


def test_a_killed_shard_loses_and_doubles_nothing(made, scheme, tmp_path):
    count = 1500
    records = [
        Record("s", str(n), "qa", [Turn("client", f"{'甲乙丙丁'[n % 4]}事第{n}次")], id=f"{n:016x}")
        for n in range(count)
    ]
    write_records(tmp_path / "unified_min.jsonl", records)
    write_records(tmp_path / "gold.jsonl", [])
    for name in ("answers", "out"):
        (tmp_path / name).mkdir()
    job = {
        "inputs": {"minimise": str(tmp_path), "labeller": str(made["convert"] / "model.gguf")},
        "out": str(tmp_path / "out"),
        "answers": str(tmp_path / "answers"),
        "backend": "llama-cpp",
        "labels": scheme.to_dict(),
        "buckets": ["00"],
        "options": OPTIONS,
        "pace": {"batch_size": 8, "threads": 1},
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow/scripts")}
    command = [sys.executable, "-c", JOB, json.dumps(job)]

    def kept():
        return [
            json.loads(line)["id"]
            for path in (tmp_path / "answers").iterdir()
            for line in path.read_text().splitlines(True)
            if line.endswith("\n")
        ]

    for wanted in (20, 100):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while len(kept()) < wanted and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the job ended before it was killed"
    before = len(kept())
    assert 100 <= before < count and not (tmp_path / "out/labels.jsonl").exists()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    assert sorted(kept()) == [record.id for record in records]  # each once
    assert [row["id"] for row in read_jsonl(tmp_path / "out/labels.jsonl")] == [record.id for record in records]
    assert read_json(tmp_path / "out/log.json")["known"] == before
    assert labellers.EMPTY not in str(read_json(tmp_path / "out/log.json"))
