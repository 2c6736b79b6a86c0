"""make check-model: each thing that keeps a model from being trained is told, with what to do, before anything is loaded."""

import json
import os
import shutil
import subprocess
import sys

import fake_hub
import pytest
import yaml
from conftest import ROOT

from mindgauge import model_checking, tiny_models
from mindgauge.answers import all_answers
from mindgauge.config import Settings, overlaid
from mindgauge.errors import UserError
from mindgauge.files import read_json, write_json
from mindgauge.findings import table

pytestmark = pytest.mark.usefixtures("in_root")


@pytest.fixture(scope="module")
def llama(tmp_path_factory, scheme):
    out = tmp_path_factory.mktemp("tiny") / "tiny-llama"
    tiny_models.make("tiny-llama", ROOT / "data/sample", all_answers(scheme)[::37], out, steps=1)
    return out


def settings(path, site=None, **stanza):
    model = {"path": str(path), "licence": "MIT", "family": "llama3", "context": 2048, **stanza}
    return Settings({**overlaid([]), "extra_models": {"m": model}, "site": site or {}})


def found(path, site=None, **stanza):
    return model_checking.check("m", settings(path, site, **stanza))


def test_a_model_as_it_should_be(llama):
    of = found(llama)
    assert {one.state for one in of} == {"ok"}, table(of)
    assert [one.about for one in of] == [
        *("stanza", "template", "base", "licence", "weights", "remote code", "architecture", "tokenizer", "context"),
        "memory",
    ]
    assert "LlamaForCausalLM" in table(of) and "warning: 0, failure: 0" in table(of)


def edited(name, **change):
    def edit(base):
        write_json(base / name, {**read_json(base / name), **change})

    return edit


def without(*names):
    def edit(base):
        for name in names:
            (base / name).unlink()

    return edit


def cut(base):
    weights = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def pickled(base):
    (base / "model.safetensors").rename(base / "pytorch_model.bin")


def sentencepiece(base):
    vocabulary = json.loads((base / "tokenizer.json").read_text())
    vocabulary["model"]["byte_fallback"] = True
    write_json(base / "tokenizer.json", vocabulary)


def other_pattern(base):
    text = (base / "tokenizer.json").read_text()
    assert "{1,3}" in text
    (base / "tokenizer.json").write_text(text.replace("{1,3}", "{1,2}"))


@pytest.mark.parametrize(
    ("edit", "options", "what", "state", "said"),
    [
        (None, {"family": "qwen3"}, "tokenizer", "failure", "no token '<|im_end|>'"),
        (None, {"licence": "unknown"}, "licence", "failure", "travels with everything"),
        (None, {"context": 8192}, "context", "failure", "8192 is more than the 4096"),
        (None, {"context": 256}, "tokenizer", "failure", "instruction alone is longer"),
        (None, {"site": {"gpu_memory_gib": 1.0}}, "memory", "failure", "the GPU has 1 GiB"),
        (None, {"path": "no/such"}, "base", "failure", "there is no model"),
        (without("tokenizer.json", "tokenizer_config.json"), {}, "tokenizer", "failure", "neither tokenizer.json"),
        (sentencepiece, {}, "tokenizer", "failure", "tokenizer.model is missing"),
        (other_pattern, {}, "conversion", "warning", "split pattern"),
        (cut, {}, "base", "failure", "cut off"),
        (pickled, {}, "weights", "failure", "no *.safetensors"),
        (edited("config.json", quantization_config={"bits": 4}), {}, "precision", "failure", "quantised"),
        (edited("config.json", auto_map={"AutoModel": "x.X"}), {}, "remote code", "failure", "auto_map"),
        (lambda base: (base / "x.py").write_text(""), {}, "remote code", "warning", "x.py"),
        (edited("config.json", architectures=["NewForCausalLM"]), {}, "conversion", "failure", "NewForCausalLM"),
        (edited("config.json", num_experts=8), {}, "memory", "warning", "no estimate"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_to_do(llama, tmp_path, edit, options, what, state, said):
    base = tmp_path / "base"
    shutil.copytree(llama, base)
    if edit:
        edit(base)
    of = found(**{"path": base, **options})
    wrong = [one for one in of if one.state != "ok"]
    assert [(one.about, one.state) for one in wrong if said in one.said] == [(what, state)], table(of)
    assert all(one.instead for one in wrong if one.state == "failure")


def test_a_type_that_transformers_does_not_know(llama, tmp_path):
    shutil.copytree(llama, tmp_path / "base")
    edited("config.json", model_type="newest")(tmp_path / "base")
    of = found(tmp_path / "base")
    assert any(one.about == "architecture" and one.state == "failure" and "newest" in one.said for one in of)


def test_a_template_that_is_missing_or_wrong(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no template"):
        model_checking.rendered("unheard-of")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/templates").mkdir(parents=True)
    file = tmp_path / "config/templates/llama3.jinja"
    file.write_text("{% for %}")
    with pytest.raises(UserError, match="cannot be rendered"):
        model_checking.rendered("llama3")
    file.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    with pytest.raises(UserError, match="does not put the answer"):
        model_checking.rendered("llama3")


def test_a_model_of_the_hub_is_checked_without_its_weights(llama, tmp_path):
    model = {"hub": "owner/tiny", "licence": "MIT", "family": "llama3", "context": 2048}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"extra_models": {"m": model}}))

    def ask(hub, **more):
        environment = {key: value for key, value in os.environ.items() if key != "HF_TOKEN"}
        environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0", **more}
        command = [sys.executable, "workflow/scripts/check_model.py", "m", "--configfile", str(tmp_path / "my.yaml")]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    with fake_hub.serve({"owner/tiny": llama}) as hub:
        hub.gated.add("owner/tiny")
        status, said = ask(hub)
        assert status == 0 and "warning" in said and "HF_TOKEN" in said  # what is behind the gate is seen after
        hub.card, hub.parameters = {"license": "apache-2.0"}, 2_300_000
        status, said = ask(hub, HF_TOKEN=hub.token)
        assert status == 0 and f"owner/tiny at {fake_hub.COMMIT[:12]} (the newest" in said
        assert "the hub 'apache-2.0'" in said and "TokenizersBackend; ends with <|eot_id|>" in said
        assert "weights" in said and "when they are fetched" in said and "memory" in said and "about" in said
        assert not [path for _, path, _ in hub.asked if path.endswith("safetensors")]
        hub.models.clear()
        status, said = ask(hub, HF_TOKEN=hub.token)
        assert status == 1 and "has no model owner/tiny" in said
