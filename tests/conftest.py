"""What the tests share."""

import os

# Many threads beside another load make evaluation many times slower (FIELD_NOTES 1).
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import pytest

from mindgauge.labels import Scheme

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def scheme() -> Scheme:
    """The default label scheme."""
    return Scheme.load(ROOT / "config/labels.yaml")


@pytest.fixture
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test in the repository's root."""
    monkeypatch.chdir(ROOT)
