"""A model of the hub through the workflow: fetched and pinned by the first run, and no work to the second."""

import json

import fake_hub
import pytest
import yaml
from clone import Clone

pytestmark = pytest.mark.slow
# The demo has no licence gate; and a train part small enough for a test.
OVERLAY = """
models: [of-hub]
extra_models:
  of-hub: {hub: owner/m, licence: MIT, family: deepseek-r1, context: 512}
"""
RUN = "results/models/of-hub/adapter/run.json"


def test_a_model_of_the_hub_is_fetched_pinned_and_trained_once(tmp_path, tiny):
    clone = Clone.new(tmp_path / "clone", tmp_path / "store", tiny)
    (clone.root / "hub.yaml").write_text(OVERLAY)
    with fake_hub.serve({"owner/m": tiny / "tiny-qwen2"}) as hub:
        clone.environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": "0",
        }
        said = clone.snakemake(RUN, overlays=("hub.yaml",))
        assert "Rule: make_base" in said and "Rule: make_train" in said and "half-way" not in said
        fetched = [path for method, path, _ in hub.asked if method == "GET" and path.endswith("model.safetensors")]
        assert len(fetched) == 1
        hub.asked.clear()
        pinned = yaml.safe_load((clone.root / "config/models.lock.yaml").read_text())["of-hub"]
        assert pinned["hub"] == "owner/m" and pinned["revision"] == fake_hub.COMMIT
        told = json.loads((clone.root / RUN).read_text())["base"]
        assert told["hub"] == "owner/m" and told["revision"] == fake_hub.COMMIT
        # Now that its commit is known the gate is looked at once more; nothing is fetched, copied or trained again.
        again = clone.ran(RUN, overlays=("hub.yaml",))
        assert not hub.asked and set(again) <= {"base_gate"}, again
        assert clone.ran(RUN, overlays=("hub.yaml",)) == []
    bases = list((tmp_path / "store/base/of-hub").iterdir())
    assert len(bases) == 1
    assert " 0 wrong" in clone.snakemake("verify", overlays=("hub.yaml",))
