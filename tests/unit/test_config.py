import copy

import pytest
import yaml
from conftest import ROOT

from mindgauge.config import Settings
from mindgauge.errors import UserError
from mindgauge.reference import documents

pytestmark = pytest.mark.usefixtures("in_root")
BASE = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def over(base, change):
    """An overlay as Snakemake lays it."""
    found = copy.deepcopy(base)
    for key, value in change.items():
        found[key] = over(found[key], value) if isinstance(value, dict) and isinstance(found.get(key), dict) else value
    return found


def test_the_default_config_and_the_demo_are_valid():
    assert set(Settings(BASE).models) >= {
        "r1-qwen1.5b",
        "qwen3-0.6b",
        "qwen3-1.7b",
        "qwen3-4b",
        "llama3.2-1b",
        "llama3.2-3b",
        "gemma3-1b",
        "mistral-7b",
    }
    demo = Settings(over(BASE, yaml.safe_load((ROOT / "config/demo.yaml").read_text())))
    assert demo.config.models == ["tiny-qwen2", "tiny-llama"] and demo.train("tiny-llama")["lora_r"] == 16


def test_the_training_defaults_are_those_of_the_specification():
    numbers = Settings(BASE).train("qwen3-0.6b")
    wanted = {
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "target_modules": "all-linear",
        "batch_size": 8,
        "gradient_accumulation": 4,
        "learning_rate": 1e-4,
        "epochs": 3,
        "eval_steps": 1000,
    }
    assert {name: numbers[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modles": []}, ["unknown key 'modles'", "instead: models"]),
        ({"data": {"max_turn": 3}}, ["unknown key 'data.max_turn'", "instead: max_turns"]),
        ({"sources": {"psyqa": {"reder": "x"}}}, ["'sources.psyqa.reder'", "instead: reader"]),
        ({"sources": {"psyqa": {"reader": "exel"}}}, ["'exel'", "cpsycound"]),
        ({"train": {"lora_r": 0}}, ["'train.lora_r' is 0", "greater than or equal to 1"]),
        ({"quants": ["Q9"]}, ["'Q9'", "Q4_K_M"]),
        ({"models": ["qwen3-0.6"]}, ["no model 'qwen3-0.6'", "instead: qwen3-0.6b", "gemma3-1b"]),
        ({"extra_models": {"x": {"hub": "a/b", "licence": "MIT", "family": "qwen"}}}, ["'qwen'", "qwen3"]),
        ({"extra_models": {"x": {"licence": "MIT", "family": "qwen3"}}}, ["either hub or path"]),
        (
            {"extra_models": {"x": {"hub": "a/b", "licence": "MIT", "family": "qwen3", "train": {"learning_rat": 1}}}},
            ["learning_rat", "instead: learning_rate"],
        ),
        ({"label": {"backend": "llama-cpp"}}, ["llama-cpp needs model", "label.model"]),
        ({"sft": {"val": 0.5, "test": 0.5}}, ["nothing is left to train on"]),
        ({"prompt": "no/such.txt"}, ["the prompt does not exist"]),
        ({"bundle": {"despite_gates": ["r1-qwen1.5"]}}, ["r1-qwen1.5b   (valid here:", "bundle.despite_gates"]),
    ],
)
def test_a_wrong_key_or_value_is_explained(change, said):
    with pytest.raises(UserError) as error:
        Settings(over(BASE, change))
    assert all(part in str(error.value) for part in said), str(error.value)


def test_the_option_reference_is_in_step():
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: python workflow/scripts/document_config.py"


def test_a_broken_yaml_names_its_line(tmp_path):
    (tmp_path / "models.yaml").write_text("a: {b: 1\nc: 2\n")
    with pytest.raises(UserError, match=r"models\.yaml:\d"):
        Settings(BASE, models_file=tmp_path / "models.yaml")


def test_the_classes_of_psysuicide_are_laid_over_the_default_and_checked():
    from mindgauge.config import Source
    from mindgauge.readers.psysuicide import CLASSES

    assert Source(path="p", reader="psysuicide").names == CLASSES
    stanza = {"path": "p", "reader": "psysuicide", "role": "gold", "classes": {"关于自杀的探索": "suicidal"}}
    source = Settings(over(BASE, {"sources": {"gold": stanza}})).config.sources["gold"]
    assert source.names == {**CLASSES, "关于自杀的探索": "suicidal"} and source.names["他人攻击行为"] is None
    with pytest.raises(UserError, match="'murder', which is no value of risk_flag") as error:
        Settings(over(BASE, {"sources": {"gold": stanza | {"classes": {"用户攻击行为": "murder"}}}}))
    assert "sources.gold.classes" in str(error.value) and "none, suicidal, self_harm, violence" in str(error.value)


def test_the_classes_need_a_risk_flag(tmp_path):
    (tmp_path / "labels.yaml").write_text("fields: [{name: mood, kind: ordinal, values: [0, 1]}]")
    sources = {"gold": {"path": "p", "reader": "psysuicide"}}
    with pytest.raises(UserError, match="the label scheme has no risk_flag"):
        Settings(over(BASE, {"labels": str(tmp_path / "labels.yaml"), "sources": sources}))
