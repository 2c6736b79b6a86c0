import os
import shutil
import subprocess
import sys

import fake_hub
import numpy
import pytest
import yaml
from safetensors.numpy import save_file

from mindgauge import fetching
from mindgauge.errors import UserError


@pytest.fixture
def hub(tmp_path):
    """A stand-in for the hub: the network is the one thing these tests cannot have."""
    held = tmp_path / "hub"
    held.mkdir()
    (held / "config.json").write_text("{}")
    (held / "model.safetensors").write_bytes(b"weights")
    (held / "run.py").write_text("code is not fetched")
    asked = []

    def download(name, revision):
        asked.append((name, revision))
        return fetching.Fetched(held, revision or "c0ffee", {})

    return held, asked, download


def test_the_first_fetch_pins_and_later_ones_obey(hub, tmp_path):
    held, asked, download = hub
    entry = fetching.fetch("m", "a/b", None, tmp_path / "one", download)
    assert entry["revision"] == "c0ffee" and set(entry["files"]) == {"config.json", "model.safetensors"}
    lock = tmp_path / "models.lock.yaml"
    fetching.write_lock("m", entry, lock)
    fetching.write_lock("m", {"hub": "other"}, lock)
    locked = yaml.safe_load(lock.read_text())["m"]
    assert locked == entry
    assert fetching.fetch("m", "a/b", locked, tmp_path / "two", download) == entry and asked[-1] == ("a/b", "c0ffee")
    (held / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match=r"model\.safetensors is not the file that was locked"):
        fetching.fetch("m", "a/b", locked, tmp_path / "three", download)
    with pytest.raises(UserError, match="lock is of another model"):
        fetching.fetch("m", "c/d", locked, tmp_path / "four", download)


@pytest.fixture
def served(tmp_path):
    """A hub with a model whose weights are larger than the pieces that huggingface_hub fetches; and a way to ask it from a process of
    its own, since the library reads its environment once."""
    held = tmp_path / "model"
    held.mkdir()
    (held / "config.json").write_text("{}")
    (held / "run.py").write_text("code")
    (held / "pytorch_model.bin").write_bytes(b"pickled")
    save_file({"a": numpy.random.default_rng(1).random(3_000_000)}, held / "model.safetensors")
    (tmp_path / "token").write_text("")

    def ask(code, hub, **environment):
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0", **environment}
        head = (
            "from pathlib import Path\nfrom mindgauge import fetching\nfrom mindgauge.step import exit_on_user_error\n"
        )
        code = head + "with exit_on_user_error():\n    " + code
        environment = {key: value for key, value in os.environ.items() if key != "HF_TOKEN"} | settings
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    with fake_hub.serve({"owner/m": held}) as hub:
        yield hub, ask


def test_a_model_of_the_hub_is_fetched_by_a_mirror_taken_up_where_it_broke_and_read_from_the_cache(served, tmp_path):
    hub, ask = served
    hub.breaks["model.safetensors"] = 15_000_000
    done = ask('fetching.write_lock("m", fetching.fetch("m", "owner/m", None, Path("one")), Path("lock.yaml"))', hub)
    assert done.returncode == 0, done.stderr
    locked = yaml.safe_load((tmp_path / "lock.yaml").read_text())["m"]
    assert locked["revision"] == fake_hub.COMMIT and set(locked["files"]) == {"config.json", "model.safetensors"}
    ranges = [of for method, path, of in hub.asked if method == "GET" and path.endswith("model.safetensors")]
    assert len(ranges) == 2 and ranges[1] == f"bytes={10 * 1024 * 1024}-"
    assert not [path for _, path, _ in hub.asked if path.endswith((".py", ".bin"))]
    hub.asked.clear()
    again = f'fetching.fetch("m", "owner/m", {locked!r}, Path("two"))'
    assert ask(again, hub, HF_HUB_OFFLINE="1").returncode == 0 and not hub.asked
    assert ask(again, hub).returncode == 0 and not [
        path for method, path, _ in hub.asked if method == "GET" and "resolve" in path
    ]


def test_a_gate_a_wrong_name_and_damaged_weights_are_told(served, tmp_path):
    hub, ask = served
    fetch = 'fetching.fetch("m", "owner/m", None, Path("out"))'
    hub.gated.add("owner/m")
    assert "behind a licence" in (said := ask(fetch, hub).stderr) and "HF_TOKEN" in said and "Traceback" not in said
    assert ask(fetch, hub, HF_TOKEN=hub.token).returncode == 0
    assert "has no model owner/n" in ask(fetch.replace("owner/m", "owner/n"), hub).stderr
    hub.wrong.add("model.safetensors")
    said = ask(fetch.replace("out", "other"), hub, HF_TOKEN=hub.token).stderr
    assert "model.safetensors is not the file that the hub tells of" in said


def test_no_network_is_explained(tmp_path):
    def download(name, revision):
        raise OSError

    with pytest.raises(UserError, match="HF_ENDPOINT"):
        fetching.fetch("m", "a/b", None, tmp_path / "x", download)


def test_a_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="no transformers model"):
        fetching.copy_local(tmp_path, tmp_path / "x")


def test_cut_weights_are_told_by_the_base_step(tmp_path):
    held = tmp_path / "held"
    held.mkdir()
    (held / "config.json").write_text("{}")
    save_file({"a": numpy.zeros(100)}, held / "model.safetensors")
    whole = (held / "model.safetensors").read_bytes()
    assert fetching.base("m", None, None, held, tmp_path / "one") == (
        {"architecture": None, "tokens_a_character": 1.0},
        None,
    )
    (held / "model.safetensors").write_bytes(whole[:-8])
    with pytest.raises(UserError, match="cut off"):
        fetching.base("m", None, None, held, tmp_path / "two")


def test_a_sentencepiece_vocabulary_without_its_own_file_is_refused(bases, tmp_path):
    for name in ("tiny-gemma3", "tiny-mistral"):
        base = tmp_path / name
        shutil.copytree(bases / name, base)
        fetching.copy_local(base, tmp_path / "whole" / name)
        assert (tmp_path / "whole" / name / "tokenizer.model").is_file()
        (base / "tokenizer.model").unlink()
        with pytest.raises(UserError, match=r"tokenizer\.model is missing"):
            fetching.copy_local(base, tmp_path / "x")
    fetching.copy_local(bases / "tiny-qwen2", tmp_path / "whole/tiny-qwen2")
