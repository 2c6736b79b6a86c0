import os
from pathlib import Path

import pytest

from mindgauge import epoch, linking, process, raw
from mindgauge.errors import UserError
from mindgauge.files import read_json, sha256_file, write_json
from mindgauge.recipe import Input, Recipe
from mindgauge.step import Step, make
from mindgauge.store import Store

WHERE = "split/0123456789abcdef0123"


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.open()
    return made


def put(store, where=WHERE, text="one"):
    aside = store.aside(where)
    (aside / "a.txt").write_text(text)
    store.put(where, aside, {"step": "split"}, {"n": 1})


def test_an_entry_is_whole_or_not_there(store):
    assert not store.has(WHERE)
    put(store)
    assert store.verify(WHERE) == [] and store.manifest(WHERE)["facts"] == {"n": 1}
    assert not list((store.root / ".aside").iterdir())


def test_of_two_writers_the_first_wins(store):
    put(store, text="first")
    put(store, text="second")
    assert (store.path(WHERE) / "a.txt").read_text() == "first"
    assert not list((store.root / ".aside").iterdir())


def test_what_is_left_of_an_entry_without_its_manifest_is_in_nobodys_way(store):
    put(store)
    (store.path(WHERE) / "manifest.json").unlink()
    put(store, text="two")
    assert (store.path(WHERE) / "a.txt").read_text() == "two" and store.verify(WHERE) == []
    assert [path.name for path in (store.root / ".damaged").glob("*/a.txt")] == ["a.txt"]


def test_no_library_of_a_job_tries_the_network(monkeypatch):
    for name in process.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", os.environ["PATH"])
    mask = os.umask(0o022)
    try:
        process.prepare(group=False, main=True)  # bases are fetched here
        assert not set(process.OFFLINE) & os.environ.keys()
        process.prepare(group=False, main=False)
        assert all(os.environ.pop(name) == "1" for name in process.OFFLINE)
    finally:
        os.umask(mask)


def test_the_store_and_its_files_are_private(store):
    put(store)
    assert store.root.stat().st_mode & 0o777 == 0o700
    assert (store.path(WHERE) / "a.txt").stat().st_mode & 0o077 == 0
    store.root.chmod(0o755)
    with pytest.raises(UserError, match="chmod 700"):
        store.open()


def test_damage_is_seen_even_with_the_old_date(store):
    put(store)
    path = store.path(WHERE) / "a.txt"
    before = path.stat()
    path.chmod(0o600)
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.verify(WHERE) == ["a.txt differs from its sha256"]
    store.set_aside(WHERE)
    assert not store.has(WHERE)


def test_added_and_missing_files_are_seen(store):
    put(store)
    (store.path(WHERE) / "b.txt").write_text("x")
    (store.path(WHERE) / "a.txt").unlink()
    assert store.verify(WHERE) == ["a.txt is missing", "b.txt was added"]


@pytest.fixture
def planned(tmp_path, monkeypatch, store):
    """A recipe of the step `split` over one entry, as the main process writes it."""
    monkeypatch.chdir(tmp_path)
    put(store, "minimise/0123456789abcdef0123")
    recipe = Recipe(
        "split", (), "data", {"x": 1}, {"minimise": Input("content:abc", where="minimise/0123456789abcdef0123")}
    )
    recipe.write(store.root, False)
    return recipe, Path("results/.entries") / recipe.where


def write(step: Step) -> None:
    (step.out / "out.txt").write_text(str(step.params["x"]))


def test_a_step_makes_its_entry_and_stamps_it(planned, store):
    recipe, stamp = planned
    make("split", stamp, write)
    assert stamp.is_file() and store.verify(recipe.where) == []
    assert store.manifest(recipe.where)["recipe"] == recipe.hashed()


def test_a_failing_step_leaves_nothing(planned, store):
    recipe, stamp = planned

    def fail(step):
        (step.out / "half.txt").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make("split", stamp, fail)
    assert not stamp.exists() and not store.has(recipe.where) and not list((store.root / ".aside").iterdir())


def test_a_job_refuses_if_the_code_changed_while_it_waited(planned, monkeypatch):
    _, stamp = planned
    monkeypatch.setattr("mindgauge.step.code_hash", lambda step, uses: "0" * 64)
    with pytest.raises(UserError, match="code changed after this job was planned"):
        make("split", stamp, write)


def test_a_damaged_input_is_set_aside_and_not_used(planned, store):
    _, stamp = planned
    path = store.path("minimise/0123456789abcdef0123") / "a.txt"
    path.chmod(0o600)
    path.write_text("other")
    with pytest.raises(UserError, match="damaged"):
        make("split", stamp, write)
    assert not store.has("minimise/0123456789abcdef0123")


def test_views_show_entries_and_forget_what_is_gone(planned, store, tmp_path):
    recipe, stamp = planned
    make("split", stamp, write)
    view = tmp_path / "results/view/out.txt"
    old = tmp_path / "results/view/old.txt"
    old.parent.mkdir(parents=True)
    old.symlink_to(tmp_path)
    linking.link(stamp, [view], None, everything=True)
    assert view.read_text() == "1" and not old.is_symlink()
    with pytest.raises(UserError, match=r"no other\.txt"):
        linking.link(stamp, [view.with_name("other.txt")], None, everything=False)
    linking.write_gate(stamp, Path("gate.json"))
    assert read_json(Path("gate.json"))["where"] == recipe.where


def test_the_key_follows_from_all_that_decides(planned):
    recipe, _ = planned
    import dataclasses

    others = [
        dataclasses.replace(recipe, params={"x": 2}),
        dataclasses.replace(recipe, names=("a",)),
        dataclasses.replace(recipe, group="report"),
        dataclasses.replace(recipe, inputs={"minimise": Input("content:abd")}),
    ]
    assert len({recipe.key, *(other.key for other in others)}) == 5
    moved = dataclasses.replace(
        recipe, inputs={"minimise": Input("content:abc", where="minimise/ffffffffffffffffffff")}
    )
    assert moved.key == recipe.key


def test_raw_files_are_known_by_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "raw"
    source.mkdir()
    (source / "a.txt").write_text("one")
    checked = []

    def token():
        return raw.token_file("s", source, "sources.s.path", lambda: checked.append(1), main=True)

    first = token()
    raw.hash_source(Path(first), Path("gate.json"))
    digest = read_json(Path("gate.json"))["sha256"]
    os.utime(source / "a.txt", (1, 1))
    assert token() == first  # a date alone changes nothing
    (source / "a.txt").write_text("two")
    os.utime(source / "a.txt", (1, 1))
    read = []
    monkeypatch.setattr(raw, "sha256_file", lambda path: (read.append(path), sha256_file(path))[1])
    assert token() != first  # a changed byte with an old date does
    assert token() != first
    raw.hash_source(Path(token()), Path("gate.json"))
    assert read_json(Path("gate.json"))["sha256"] != digest and len(checked) == 2
    assert read == [source / "a.txt"]  # once, however often it is looked at


@pytest.mark.parametrize("there", [False, True])
def test_a_missing_or_empty_source_is_explained(tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    if there:
        (tmp_path / "raw").mkdir()
    with pytest.raises(UserError, match="is empty" if there else "are not there"):
        raw.token_file("s", tmp_path / "raw", "sources.s.path", lambda: None, main=True)


def test_a_touched_epoch_gets_its_date_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    epoch.keep([], [])
    Path(".snakemake/metadata").mkdir(parents=True)
    date = epoch.EPOCH.stat().st_mtime_ns
    os.utime(epoch.EPOCH)
    epoch.keep([], [])
    assert epoch.EPOCH.stat().st_mtime_ns == date
    write_json(Path("results/.gates/x.json"), {})  # made, but Snakemake does not remember it
    epoch.keep([Path("results/.gates/x.json")], [])
    renewed = epoch.EPOCH.stat().st_mtime_ns
    assert renewed > date
    # Once: this configuration may never make it, and it is stale as it is.
    epoch.keep([Path("results/.gates/x.json")], [])
    assert epoch.EPOCH.stat().st_mtime_ns == renewed
    os.utime("results/.gates/x.json", ns=(renewed + 1, renewed + 1))
    epoch.keep([Path("results/.gates/x.json")], [])
    assert epoch.EPOCH.stat().st_mtime_ns > renewed


def test_a_newly_missing_gate_renews_the_epoch_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".snakemake/metadata").mkdir(parents=True)
    dates = []
    for gates in ([], [Path("a.json")], [Path("a.json")], [Path("a.json"), Path("b.json")]):
        epoch.keep([], gates)
        dates.append(epoch.EPOCH.stat().st_mtime_ns)
    assert dates[0] < dates[1] == dates[2] < dates[3]
    Path("a.json").touch()
    Path("b.json").touch()
    epoch.keep([], [Path("a.json"), Path("b.json")])
    assert epoch.EPOCH.stat().st_mtime_ns == dates[3]
    Path("a.json").unlink()
    epoch.keep([], [Path("a.json"), Path("b.json")])
    assert epoch.EPOCH.stat().st_mtime_ns > dates[3]


def test_a_run_that_stopped_half_way_is_told(tmp_path):
    from types import SimpleNamespace

    made, lost = tmp_path / "made", tmp_path / "lost"
    made.touch()
    dag = SimpleNamespace(targetjobs=[SimpleNamespace(input=[made], output=[])])
    process.refuse_half_way(dag, [lost])
    with pytest.raises(UserError, match="stopped half-way: 1 of 1 targets are not made"):
        process.refuse_half_way(dag, [made])  # it shows what was asked for before
    dag.targetjobs[0].input.append(lost)
    with pytest.raises(UserError, match="stopped half-way: 1 of 2 targets are not made") as error:
        process.refuse_half_way(dag, [])
    assert "the same command again" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "dry"),
    [(["-n", "all"], True), (["-np"], True), (["--dry-run"], True), (["--profile", "profiles/demo", "all"], False)],
)
def test_a_dry_run_is_known(arguments, dry):
    assert process.dry_run(["snakemake", *arguments]) is dry
