import shutil

import pytest
import yaml

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
        return held, revision or "c0ffee"

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


def test_no_network_is_explained(tmp_path):
    def download(name, revision):
        raise OSError

    with pytest.raises(UserError, match="HF_ENDPOINT"):
        fetching.fetch("m", "a/b", None, tmp_path / "x", download)


def test_a_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="no transformers model"):
        fetching.copy_local(tmp_path, tmp_path / "x")


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
