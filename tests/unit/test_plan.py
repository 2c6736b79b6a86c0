"""The plan of many models: each recipe is worked out and hashed once, until a gate it asks says something else."""

from collections import Counter
from pathlib import Path

import pytest

from mindgauge import recipe
from mindgauge.config import Settings, overlaid
from mindgauge.plan import UNKNOWN_SIZE, Plan, gate_file

MODELS = [f"m{number}" for number in range(6)]
QUANTS = ["Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"]


class Files(dict):
    """The files of an entry: any that is asked for."""

    def __missing__(self, name):
        return {"sha256": "0"}


@pytest.fixture
def planned(in_root, monkeypatch):
    """A plan of six models in four quants, what its gates say, and how often each step's recipe was worked out and hashed."""
    stanzas = {name: {"path": f"bases/{name}", "licence": "MIT", "family": "llama3", "context": 512} for name in MODELS}
    changes = {"models": MODELS, "extra_models": stanzas, "quants": QUANTS, "bundle": {"despite_gates": []}}
    said = {}

    def gate(name, fact=None):
        new = {
            "where": f"step/{name}/key",
            "files": Files(a={"sha256": name}),
            "sha256": name,
            "facts": {"buckets": {"00": "x"}},
        }
        return said.setdefault(name, new)

    counts = Counter()
    hashed, method = recipe.digest, Plan._evaluate
    monkeypatch.setattr(recipe, "digest", lambda value: counts.update(hashed=1) or hashed(value))
    monkeypatch.setattr(Plan, "_evaluate", lambda *of: counts.update(evaluate=1) or method(*of))
    plan = Plan(Settings(overlaid([Path("config/demo.yaml")]) | changes), gate, main=False)
    return plan, said, counts


def ask(plan):
    """All that rules ask of the entries behind views."""
    entries = {(step, *names) for _, step, names, _ in plan.views()} | {("catalogue",), ("crate",)}
    for entry in entries:
        plan.entry(*entry), plan.needs(*entry), plan.gates(*entry)


def test_each_recipe_is_worked_out_and_hashed_once(planned):
    plan, _, counts = planned
    ask(plan)
    ask(plan)
    variants = sum(len(plan.variants(model)) for model in MODELS)
    assert counts["evaluate"] == variants == 48
    assert counts["hashed"] == len({asked for asked in plan._memo._held})


def test_a_gate_that_says_something_else_is_seen_by_what_asks_it(planned):
    plan, said, counts = planned
    ask(plan)
    before = {name: plan.recipe("evaluate", name, "base").key for name in MODELS}
    counts.clear()
    said["base/m0"] = {**said["base/m0"], "files": Files(a={"sha256": "other"})}
    after = {name: plan.recipe("evaluate", name, "base").key for name in MODELS}
    assert [name for name in MODELS if before[name] != after[name]] == ["m0"] and counts["evaluate"] == 1
    ask(plan)
    assert counts["evaluate"] == len(plan.variants("m0"))


def test_the_gates_of_an_entry_are_those_its_inputs_ask_too(planned):
    plan, _, _ = planned
    assert plan.gates("bundle", "m1", "Q4_K_M") == sorted(
        gate_file(name) for name in ("base/m1", "labels", "minimised", "sft")
    )


def test_a_job_is_sized_by_the_parameters_that_the_gate_of_the_base_tells(planned):
    plan, said, _ = planned
    plan._gate("base/m0", "architecture")
    said["base/m0"]["facts"]["architecture"] = {"parameters": 1_500_000_000}
    said.setdefault("base/m1", {"facts": {"architecture": None}})
    assert plan.parameters("m0") == 1_500_000_000 and plan.parameters("m1") == UNKNOWN_SIZE


def test_what_a_model_shows_that_is_not_listed_is_known_too(planned):
    """It may have been made by its file; a model with several seeds stands for theirs."""
    plan, _, _ = planned
    settings = plan.settings
    stanzas = {"other": settings.models["m0"], "some": settings.models["m1"]}
    settings.models |= stanzas
    settings.seeded["some"] = {}
    found = plan.further()
    assert found["results/models/other/adapter/run.json"] == ("train", "other")
    assert found["results/models/other/gguf/other-Q8_0.gguf"] == ("quantise", "other", "Q8_0")
    assert not any("/m1/adapter" in view or "/some/" in view for view in found)
    assert not found.keys() & {f"results/{view}" for view, *_ in plan.views()}
