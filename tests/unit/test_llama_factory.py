"""The recipe in LLaMA-Factory's words: names that its argument classes know (arguments.json, from the real package), values as here."""

import pytest
import yaml
from conftest import ROOT

from mindgauge import llama_factory
from mindgauge.chat import END_TOKENS
from mindgauge.config import Settings, Train, overlaid
from mindgauge.files import read_json
from mindgauge.llama_factory import ALWAYS, STANZA, TEMPLATES, TRAIN
from mindgauge.plan import Plan

pytestmark = pytest.mark.usefixtures("in_root")
THERE = read_json(ROOT / "tests/llama_factory/arguments.json")


def recipe(**change):
    options = {"model": "m", "base": "m", "family": "qwen3", "context": 4096, "validation": True}
    return llama_factory.recipe(**{**options, "train": Train().model_dump(), **change})


def test_every_option_has_a_name_there_or_a_reason():
    assert list(TRAIN) == list(Train.model_fields)
    assert all(of.names or of.note for of in TRAIN.values())


def test_every_name_is_one_of_llama_factorys():
    assert THERE["version"] == llama_factory.VERSION
    known = set(THERE["arguments"])
    named = {name for of in [*TRAIN.values(), *STANZA.values()] for name in of.names} | set(ALWAYS)
    assert named <= known
    quantised = {"load_in_4bit": True, "target_modules": ["q_proj", "v_proj"], "precision": "fp32", "max_steps": 5}
    for train in ({}, quantised, {"max_samples": 9, "early_stopping": 2}):
        found = recipe(train={**Train().model_dump(), **train})
        assert set(found) <= known
        written = {name for of in TRAIN.values() for name in of.names}
        assert set(found) - written <= {*ALWAYS, "model_name_or_path", "template", "enable_thinking", "cutoff_len", "output_dir", "eval_dataset", "eval_strategy"}  # fmt: skip


def test_each_counterpart_gives_the_names_it_says():
    given = {"load_in_4bit": True, "max_samples": 9, "neftune_noise_alpha": 5.0, "early_stopping": 2}
    values = {**Train().model_dump(), **given}
    for name, of in TRAIN.items():
        assert set(of.values(values[name])) == set(of.names), name


def test_every_family_has_a_template_there():
    assert set(TEMPLATES) == set(END_TOKENS)
    assert {of["template"] for of in TEMPLATES.values()} <= set(THERE["templates"])


def test_the_values_are_those_of_the_recipe():
    found = recipe(family="deepseek-r1", model="m-seed1")
    assert found["lora_rank"] == 16 and found["lora_alpha"] == 32 and found["lora_target"] == "all"
    assert found["per_device_train_batch_size"] == 8 and found["gradient_accumulation_steps"] == 4
    assert found["learning_rate"] == 1e-4 and found["num_train_epochs"] == 3.0 and found["eval_steps"] == 1000
    assert found["max_steps"] == -1 and found["bf16"] is True and "quantization_bit" not in found
    assert found["model_name_or_path"] == "results/base/m" and found["output_dir"] == "saves/m-seed1/lora/sft"
    assert "enable_thinking" not in found and recipe()["enable_thinking"] is False
    quantised = recipe(train={**Train().model_dump(), "load_in_4bit": True, "target_modules": ["q_proj", "v_proj"]})
    assert quantised["quantization_bit"] == 4 and quantised["lora_target"] == "q_proj,v_proj"
    stops = {**Train().model_dump(), "early_stopping": 3, "eval_steps": 70, "attention": "eager", "upcast": ["norms"]}
    stopped = recipe(train=stops)
    assert stopped["early_stopping_steps"] == 3 and stopped["load_best_model_at_end"] and stopped["save_steps"] == 70
    assert stopped["flash_attn"] == "disabled" and stopped["upcast_layernorm"] and not stopped["upcast_lmhead_output"]
    assert "load_best_model_at_end" not in recipe(train=stops, validation=False)
    assert not {name for name in recipe(validation=False) if name.startswith("eval") or "_eval_" in name}


def test_the_file_says_the_same_and_holds_no_place_of_this_machine(tmp_path):
    plan = Plan(Settings(overlaid([])), lambda name, fact: {}, main=False)
    made = plan.recipe("llama_factory", "mistral-7b")
    assert not made.inputs and made.params["train"]["load_in_4bit"]
    text = llama_factory.text(llama_factory.recipe(**made.params), "mistral-7b")
    assert yaml.safe_load(text) == llama_factory.recipe(**made.params) and str(ROOT) not in text


def test_the_datasets_are_those_of_the_supervised_rows():
    written = (ROOT / "workflow/scripts/mindgauge/sft.py").read_text(encoding="utf-8")
    assert f'"{llama_factory.DATASET}"' in written and f'"{llama_factory.VALIDATION}"' in written
