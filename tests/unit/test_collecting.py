"""Garbage: what no configuration reaches goes, what is young, in use or resumable stays."""

import json
import os
import shutil

import pytest

from mindgauge import collecting, lease
from mindgauge.store import Store

KEYS = {name: f"{number:020x}" for number, name in enumerate(("train", "merge", "old", "read"))}


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.open()
    for name, key in KEYS.items():
        aside = made.aside(f"train/{name}/{key}")
        (aside / "a.bin").write_bytes(b"x" * 1000)
        made.put(f"train/{name}/{key}", aside, {}, {})
    return made


def where(name):
    return f"train/{name}/{KEYS[name]}"


def age(root, days=3):
    """Sets every date back."""
    for path in [root, *root.rglob("*")]:
        date = path.stat().st_mtime - days * collecting.DAY
        os.utime(path, (date, date))


def test_what_is_reached_young_or_read_stays(store):
    reached = {where("train"), where("merge")}
    assert collecting.find(store, reached, days=1).entries == {} and store.has(where("old"))
    age(store.root)
    with lease.held(store.lease("train/x/" + "f" * 20), [where("read")]):
        garbage = collecting.find(store, reached, days=1)
        assert garbage.kept == {"read by a running job": 1} and garbage.reached == 2
        assert list(garbage.entries) == [where("old")] and 1000 < garbage.bytes < 3000
        collecting.remove(store, garbage)
    assert sorted(store.entries()) == sorted([*reached, where("read")])
    assert not (store.root / ".verified" / f"{where('old')}.json").exists()
    assert not list((store.root / ".aside").iterdir())
    assert all(store.verify(one, anew=True) == [] for one in store.entries())


def test_what_killed_jobs_left_goes_but_not_what_a_job_goes_on_from(store):
    shutil.rmtree(store.path(where("merge")))  # not made yet; its job was killed
    for name, key in {**KEYS, "job": "e" * 20}.items():
        (store.work(f"train/{name}/{key}") / "checkpoint").write_text("c")
    store.aside("train/job/" + "e" * 20)
    store.aside(where("old"))
    store.set_aside(where("old"))
    age(store.root)
    dead = json.dumps({"machine": lease._machine(), "pid": 1, "started": "1", "reads": []})
    store.lease(where("old")).parent.mkdir(exist_ok=True)
    store.lease(where("old")).write_text(dead)
    with lease.held(store.lease("train/job/" + "e" * 20), []):
        garbage = collecting.find(store, {where("train"), where("merge"), where("read")}, days=1)
        collecting.remove(store, garbage)
        assert len(garbage.leftovers) == 5
        left = sorted(name for name, _ in store.leftovers())
        assert left == sorted(["train+job+" + "e" * 20] * 2 + [where("merge").replace("/", "+")])
        assert [name for name, _ in store.leases()] == ["train+job+" + "e" * 20]
