"""Entries that are only said to be made, with what gates tell of them: for what looks at plans, where making them takes minutes."""

from pathlib import Path
from typing import Any

from mindgauge.plan import MAKERS, gate_file
from mindgauge.recipe import Recipe
from mindgauge.store import Store, write_sealed

FILES = (
    "unified_min.jsonl",
    "gold.jsonl",
    "dataset.jsonl",
    "gold_labels.jsonl",
    "train.jsonl",
    "val.jsonl",
    "test.jsonl",
    "other_view.jsonl",
    "stats.json",
)
GATED = {step: gate for gate, step in MAKERS.items()}


def pretend(store: Store, planned: Recipe, facts: dict[str, Any]) -> None:
    """Writes the manifest of an entry, and its gate if its step has one. To be called in the clone's root."""
    files = {name: {"sha256": "0", "size": 1000} for name in FILES}
    content = {"where": planned.where, "files": files, "facts": facts, "content": "0"}
    write_sealed(store.path(planned.where) / "manifest.json", {**content, "recipe": planned.hashed()})
    if gate := f"base/{planned.names[0]}" if planned.step == "base" else GATED.get(planned.step):
        write_sealed(Path(gate_file(gate)), content)
