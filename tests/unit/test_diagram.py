"""The picture of the steps (that it is in step with the plan: test_config, as for all that is written from the code)."""

import re
from pathlib import Path
from xml.etree import ElementTree

from mindgauge import diagram

ROOT = Path(__file__).parents[2]


def test_every_step_of_the_rules_has_its_box():
    of = re.search(r"^STEPS = \{(.*?)^\}", (ROOT / "rules/common.smk").read_text(), flags=re.M | re.S)[1]
    steps = re.findall(r'"(\w+)": \[', of)
    shown = [text.text for text in ElementTree.fromstring(diagram.svg()).iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(shown) == sorted(step.replace("_", " ") for step in steps) and len(shown) > 20


def test_edges_are_those_of_the_plan():
    steps, edges, gates = diagram.chain()
    assert gates == {"minimise", "merge_labels", "make_sft", "base"}
    assert {("train", "merge"), ("imatrix", "quantise"), ("convert", "choose"), ("catalogue", "crate")} <= edges
    assert ("merge", "quantise") not in edges  # by way of convert
    assert all(steps.index(a) < steps.index(b) for a, b in edges)
