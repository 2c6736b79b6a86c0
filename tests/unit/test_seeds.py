import copy
from collections import defaultdict

import pytest
import yaml
from conftest import ROOT

from mindgauge.config import Settings
from mindgauge.errors import UserError
from mindgauge.plan import Plan
from mindgauge.seeds import spread

BASE = yaml.safe_load((ROOT / "config/config.yaml").read_text())
TINY = {"path": "somewhere", "licence": "MIT", "family": "qwen3", "seeds": [1, 2, 3]}


def figures(f1, recall):
    return {
        "fields": {"risk_flag": {"macro_f1": f1}, "anxiety_level": {"macro_f1": 0.5, "qwk": f1}},
        "exact_match": 0.2,
        "any_risk": {"recall": recall} if recall is not None else None,
    }


def test_the_spread_by_hand():
    found = spread({1: figures(0.2, 0.5), 2: figures(0.4, None), 3: figures(0.6, 0.7)})
    assert found["risk_flag/macro_f1"] == {
        "values": {"1": 0.2, "2": 0.4, "3": 0.6},
        "n": 3,
        "mean": 0.4,
        "sd": 0.2,
        "low": 0.2,
        "high": 0.6,
    }
    assert found["exact_match"]["sd"] == 0.0 and found["anxiety_level/qwk"]["high"] == 0.6
    assert (found["any_risk/recall"]["n"], found["any_risk/recall"]["mean"]) == (2, 0.6)
    alone = spread({1: figures(0.2, None)})
    assert alone["risk_flag/macro_f1"]["sd"] is None and alone["any_risk/recall"]["mean"] is None


def seeded(**change):
    raw = copy.deepcopy(BASE) | {"models": ["tiny"], "extra_models": {"tiny": TINY | change}}
    return Settings(raw)


@pytest.mark.usefixtures("in_root")
def test_a_stanza_with_seeds_is_a_model_for_each_on_one_base():
    settings = seeded()
    assert settings.names == ["tiny-seed1", "tiny-seed2", "tiny-seed3"]
    assert [settings.train(name)["seed"] for name in settings.names] == [1, 2, 3]
    gate = {
        "files": defaultdict(lambda: {"sha256": "f"}),
        "facts": {"buckets": {"00": "f"}},
        "where": "a/b",
        "sha256": "f",
    }
    plan = Plan(settings, lambda *_: gate, main=False)
    targets = plan.targets("base", "train", "bundle")
    assert [target for target in targets if "/base/" in target] == ["results/base/tiny/config.json"]
    assert "results/models/tiny-seed2/adapter/run.json" in targets
    assert "results/.gates/base/tiny.json" in plan.wanted_gates()
    keys = {plan.recipe("train", name).key for name in settings.names}
    assert len(keys) == 3
    assert plan.recipe("report").params["seeds"] == {"tiny": {f"tiny-seed{n}": n for n in (1, 2, 3)}}


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": [1]}, "seeds"),
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"train": {"seed": 3}}, "both seeds and train.seed"),
    ],
)
def test_seeds_that_cannot_be_meant_are_refused(change, said):
    with pytest.raises(UserError, match=said):
        seeded(**change)


@pytest.mark.usefixtures("in_root")
def test_the_stanza_itself_is_no_target():
    with pytest.raises(UserError, match="tiny-seed1 or tiny-seed2"):
        seeded().train("tiny")
