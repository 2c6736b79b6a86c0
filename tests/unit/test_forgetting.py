"""A withdrawn record goes from all that holds it, and stays out."""

import json
import os

import pytest

from mindgauge import forgetting, ingesting, lease, unifying, withdrawals
from mindgauge.errors import UserError
from mindgauge.files import read_json, read_jsonl, write_jsonl
from mindgauge.recipe import Recipe
from mindgauge.store import Store

WORDS = ["我最近总是睡不着，压力很大。", "今天和室友吵架了，很难过。", "考试没考好，不想上学。"]


@pytest.fixture
def chain(tmp_path, monkeypatch, scheme):
    """A store with a chain over three records, the first of which is in train, the second in test; the third was minimised away."""
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "store")
    store.open()
    keys = {}

    def put(step, *names, reads=(), params=None, **files):
        recipe = Recipe(step, names, "data", {**(params or {}), "n": len(keys)}).hashed()
        where = "/".join([step, *names, f"{len(keys):020x}"])
        aside = store.aside(where)
        for name, text in files.items():
            (aside / name.replace("_jsonl", ".jsonl")).write_text(text, encoding="utf-8")
        store.put(where, aside, recipe, {}, [(keys[of], only) for of, only in reads])
        keys[step if not names else "/".join([step, *names])] = where
        return where

    raw = tmp_path / "raw.jsonl"
    write_jsonl(raw, ({"text": f"学生：{words}", "note": "x"} for words in WORDS))
    (tmp_path / "in").mkdir()
    (tmp_path / "un").mkdir()
    ingesting.ingest(raw, tmp_path / "in", "s", "table", "train", {"text": "text"}, scheme.to_dict())
    unifying.unify([tmp_path / "in"], tmp_path / "un")
    ids = [row["id"] for row in read_jsonl(tmp_path / "un/unified.jsonl")]
    put("ingest", "s", records_jsonl=(tmp_path / "in/records.jsonl").read_text(encoding="utf-8"))
    put("unify", reads=[("ingest/s", None)], unified_jsonl="\n".join(ids))
    put("minimise", reads=[("unify", None)], unified_min_jsonl="\n".join(ids[:2]), gold_jsonl="")
    for number, one in enumerate(ids[:2]):
        put("label", "0", str(number), reads=[("minimise", None)], params={"buckets": [one[:2]]}, labels_jsonl=one)
    put("make_sft", reads=[("minimise", None)], train_jsonl=ids[0], val_jsonl="", test_jsonl=ids[1])
    put("base", "m", config="{}")
    put("train", "m", reads=[("make_sft", ["train.jsonl", "val.jsonl"]), ("base/m", None)], weights="w")
    put("merge", "m", reads=[("train/m", None), ("base/m", None)], weights="w")
    put("evaluate", "m", "base", reads=[("make_sft", ["test.jsonl"]), ("base/m", None)], metrics="{}")
    answers = store.answers("0" * 20) / "a.jsonl"
    write_jsonl(answers, ({"id": one, "labels": {}} for one in ids))
    (store.work(keys["train/m"]) / "checkpoint").write_text("c")
    return store, ids, keys, tmp_path / "withdrawn.txt"


def test_it_goes_from_all_that_was_made_of_it_and_nothing_else(chain):
    store, (first, second, third), keys, _ = chain
    assert len({first[:2], second[:2]}) == 2

    def steps(one):
        return {name for name, where in keys.items() if where in forgetting.find(store, {one}, 1).entries}

    data = {"ingest/s", "unify", "minimise"}
    assert steps(first) == data | {"label/0/0", "make_sft", "train/m", "merge/m"}
    assert steps(second) == data | {"label/0/1", "make_sft", "evaluate/m/base"}
    assert steps(third) == data  # minimise read it; what was made from there did not


def test_it_is_dry_until_it_is_applied_and_names_models_and_sources_without_a_word(chain):
    store, (first, *others), keys, listed = chain
    before = sorted(store.root.rglob("*"))
    said = forgetting.forget(store, listed, {first}, 1, apply=False)
    assert sorted(store.root.rglob("*")) == before and not listed.exists()
    assert "models trained on it: m" in said and "evaluated on it: none" in said and "nothing was removed" in said
    assert "source s, record" in said and not any(words[:6] in said for words in WORDS)

    said = forgetting.forget(store, listed, {first}, 1, apply=True)
    assert "keeps it out of later runs" in said and not any(words[:6] in said for words in WORDS)
    assert list(store.entries()) == sorted(keys[name] for name in ("base/m", "evaluate/m/base", "label/0/1"))
    for path in store.root.rglob("*"):
        assert not path.is_file() or (first not in path.read_text() and WORDS[0][:6] not in path.read_text()), path
    (answers,) = (store.root / ".answers").glob("*/*.jsonl")
    assert [row["id"] for row in read_jsonl(answers)] == others
    assert not list((store.root / ".work").rglob("checkpoint"))
    assert first in withdrawals.read(listed) and listed.stat().st_mode & 0o077 == 0


def test_a_copy_that_a_person_edited_is_named_and_left(chain, tmp_path):
    store, (first, second, *_), _, listed = chain
    (tmp_path / "results/data").mkdir(parents=True)
    for name, held in ("mine", first), ("other", second):
        (tmp_path / f"results/data/{name}.jsonl.edited").write_text(held)
    said = forgetting.forget(store, listed, {first}, 1, apply=True)
    assert "yours to remove: results/data/mine.jsonl.edited" in said and "other.jsonl" not in said
    assert (tmp_path / "results/data/mine.jsonl.edited").is_file()


def test_it_stays_out_of_what_is_read_in_again(chain, tmp_path, scheme):
    store, (first, *others), _, listed = chain
    forgetting.forget(store, listed, {first}, 1, apply=True)
    withdrawn = withdrawals.read(listed)
    assert len(withdrawn) == 2  # as it was read, and in its common form
    (tmp_path / "again").mkdir()
    ingesting.ingest(
        tmp_path / "raw.jsonl", tmp_path / "again", "s", "table", "train", {"text": "text"}, scheme.to_dict(),
        withdrawn=withdrawn,
    )  # fmt: skip
    stats = read_json(tmp_path / "again/stats.json")
    assert stats["by_reason"] == {"withdrawn": 1} and stats["read"] == 3 and stats["kept"] == 2
    assert WORDS[0][:6] not in (tmp_path / "again/records.jsonl").read_text(encoding="utf-8")
    # The same words that stand otherwise in another file are dropped when they have their common form.
    unifying.unify([tmp_path / "in"], tmp_path / "un", withdrawn=withdrawn)
    stats = read_json(tmp_path / "un/stats.json")
    assert [row["id"] for row in read_jsonl(tmp_path / "un/unified.jsonl")] == others
    assert stats["sources"]["s"]["dropped"] == {"withdrawn": 1}


def test_it_refuses_beside_a_running_job(chain):
    store, (first, *_), keys, listed = chain
    with lease.held(store.lease(keys["train/m"]), []), pytest.raises(UserError, match="1 jobs work in this store"):
        forgetting.forget(store, listed, {first}, 1, apply=True)
    assert store.has(keys["unify"]) and not listed.exists()


def test_what_is_no_id_is_not_repeated(tmp_path):
    (tmp_path / "list").write_text("0123456789abcdef\n我睡不着\n", encoding="utf-8")
    with pytest.raises(UserError, match="no id of a record") as error:
        withdrawals.read(tmp_path / "list")
    assert "list:2" in str(error.value) and "睡" not in str(error.value)


def test_an_older_entry_that_does_not_tell_what_it_was_made_from_goes_too(chain):
    store, (first, *_), keys, _ = chain
    manifest = store.path(keys["evaluate/m/base"]) / "manifest.json"
    said = json.loads(manifest.read_text())
    for name in ("seal", "reads"):
        del said[name]
    os.chmod(manifest, 0o600)
    manifest.write_text(json.dumps(said))
    assert keys["evaluate/m/base"] in forgetting.find(store, {first}, 1).entries
