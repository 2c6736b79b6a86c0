import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from mindgauge import bench, machine
from mindgauge.config import Bench, Config
from mindgauge.errors import UserError
from mindgauge.files import read_json

# A few tokens: these tests are about what is measured, not about how fast it is.
WORKLOAD = bench.Workload(prompt_tokens=600, generated_tokens=4, repetitions=2, context=2048)


@pytest.fixture(scope="module")
def measured(made, tmp_path_factory):
    """Both GGUFs of a tiny model with one thread, and with more than there are cores."""
    out = tmp_path_factory.mktemp("bench")
    ggufs = {"f16": made["convert"] / "model.gguf", "Q4_K_M": made["quantise"] / "model.gguf"}
    bench.write(ggufs, out, WORKLOAD, [1, 10_000], cores=1)
    return ggufs, read_json(out / "bench.json"), (out / "bench.json").read_text()


def test_every_gguf_is_measured(measured):
    ggufs, found, _ = measured
    assert list(found["variants"]) == sorted(ggufs)
    assert (found["prompt_tokens"], found["generated_tokens"], found["repetitions"]) == (600, 4, 2)
    for name, of in found["variants"].items():
        assert of["size_bytes"] == ggufs[name].stat().st_size
        (one,) = of["measured"]
        assert (one["threads"], one["prompt_tokens"]) == (1, 600)
        for tokens, part in ((600, "prompt"), (4, "generation")):
            rate = one[part]
            assert 0 < rate["low"] <= rate["median"] <= rate["high"] and len(rate["seconds"]) == 2
            assert rate["high"] == pytest.approx(tokens / min(rate["seconds"]), rel=0.01)
        memory = one["memory"]
        # Nearly all of the file is mapped; what the model takes is less than all that the process takes.
        assert 0.5 * of["size_bytes"] < memory["mapped_bytes"] < of["size_bytes"] + 2**20
        assert memory["peak_bytes"] > memory["before_bytes"] + memory["mapped_bytes"]
        assert one["answer_seconds"] > 0 and 0 < one["core_share"] < 1.2 and one["load_seconds"] >= 0
        assert one["disturbed"] == (one["core_share"] < bench.UNDISTURBED)


def test_it_says_on_which_machine_and_what_was_left_out(measured):
    _, found, text = measured
    where = found["machine"]
    assert where["cpu"] and where["cores"] == os.cpu_count() and where["memory_bytes"] > 2**20
    assert "llama_cpp_features" in where and where["llama_cpp_python"] == "0.3.36"
    assert found["threads"] == [1, 10_000] and found["cores"] == 1
    assert found["left_out"] == [{"threads": 10_000, "reason": "more than the 1 core that could be used"}]
    assert os.uname().nodename not in json.dumps(where) and "/" not in text


def test_a_processor_that_has_no_name_is_its_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    machine.CPUINFO.write_text("processor\t: 0\nCPU part\t: 0xd40\n")
    assert machine.cpu() == os.uname().machine
    machine.CPUINFO.write_text("processor\t: 0\nmodel name\t: A CPU: fast\n")
    assert machine.cpu() == "A CPU: fast"


@pytest.mark.parametrize("count", [1, 2, 599, 600])
def test_the_prompt_has_exactly_the_tokens_asked_for(made, count):
    with bench.loaded(made["quantise"] / "model.gguf", WORKLOAD, 1) as (model, _):
        assert len(bench.filler(model, count)) == count
        assert bench.filler(model, count) == bench.filler(model, 600)[:count]


def test_more_threads_than_cores_are_left_out_with_the_reason():
    fit, left_out = bench.measured_threads([1, 2, 4], 2)
    assert fit == [1, 2] and left_out == [{"threads": 4, "reason": "more than the 2 cores that could be used"}]
    assert bench.measured_threads([1, 2, 4], 4) == ([1, 2, 4], [])
    with pytest.raises(UserError, match=r"none of \[4, 8\] threads can be measured on 2 cores"):
        bench.measured_threads([4, 8], 2)


def test_a_prompt_that_does_not_fit_is_shortened_to_what_does(made):
    workload = bench.Workload(prompt_tokens=600, generated_tokens=4, repetitions=1, context=2048)
    assert bench.fitting(workload, 4096, "m") == 600
    assert bench.fitting(workload, 512, "m") == bench.fitting(bench.Workload(600, 4, 1, 512), 4096, "m") == 508
    with pytest.raises(UserError, match="a context of 4 tokens has no room for a prompt and 4 generated tokens"):
        bench.fitting(workload, 4, "m")
    found = bench.measure({"m": made["quantise"] / "model.gguf"}, bench.Workload(600, 4, 1, 256), [1], 1)
    (one,) = found["variants"]["m"]["measured"]
    assert (found["prompt_tokens"], one["prompt_tokens"]) == (600, 252)


def test_a_file_that_is_no_model_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no such GGUF"):
        bench.measure({"m": tmp_path / "none.gguf"}, WORKLOAD, [1], 1)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError) as told:  # from the process that measures
        bench.measure({"m": tmp_path / "broken.gguf"}, WORKLOAD, [1], 1)
    assert told.value.message().startswith("mindgauge: llama.cpp cannot load this file\n  where: ")


def killed(*_):
    """What the kernel does to a process that takes too much memory."""
    os.kill(os.getpid(), 9)


def test_a_process_that_was_killed_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "one", killed)
    with pytest.raises(UserError, match="the process that measured this file with 2 threads died"):
        bench.apart(tmp_path / "m.gguf", WORKLOAD, 2)


def test_the_options():
    assert (Bench().prompt_tokens, Bench().threads) == (600, [1, 2, 4])
    assert Config.model_fields["bench"].default == Bench()


def test_ones_own_machine_is_measured_in_one_command(made):
    options = ["--threads", "1", "--prompt-tokens", "8", "--generated-tokens", "2", "--repetitions", "1"]
    command = [sys.executable, str(ROOT / "workflow/scripts/bench_gguf.py"), str(made["quantise"] / "model.gguf")]
    said = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    assert "threads 1: prompt of 8 tokens " in said and "peak memory" in said and machine.cpu() in said
    found = json.loads(subprocess.run([*command, *options, "--json"], capture_output=True, check=True).stdout)
    assert found["variants"][command[-1]]["measured"][0]["prompt"]["median"] > 0
    refused = subprocess.run([*command, "--repetitions", "0"], capture_output=True, text=True)
    assert refused.returncode == 2 and "invalid positive value: '0'" in refused.stderr
