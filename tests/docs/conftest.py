"""A finished run of the demo's chain, as it lies in a clone."""

import pytest
from clone import Clone
from conftest import ROOT

from mindgauge import tiny_models
from mindgauge.answers import all_answers


@pytest.fixture(scope="session")
def finished(tmp_path_factory, scheme):
    """The root of a clone in which everything has been made, in a few steps of training; its store lies where it does by default."""
    root = tmp_path_factory.mktemp("finished")
    for name in ("tiny-qwen2", "tiny-llama"):
        tiny_models.make(name, ROOT / "data/sample", all_answers(scheme)[::37], root / "tiny" / name, steps=2)
    made = Clone(root / "clone", root / "clone/results/.store", root / "tiny")
    made.snakemake("all")
    return made.root
