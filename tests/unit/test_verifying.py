"""Damage is found by `verify` and before use; what must not be believed is taken away before a run is planned."""

from pathlib import Path

import pytest

from mindgauge import linking, mending
from mindgauge.errors import UserError
from mindgauge.files import read_json, write_json
from mindgauge.recipe import STAMPS, Input, Recipe
from mindgauge.step import make
from mindgauge.store import Store
from mindgauge.verifying import verify

VIEW, GATE = Path("results/data/out.txt"), Path("results/.gates/minimised.json")


def write(step):
    (step.out / "out.txt").write_text("a" * 1000)
    step.facts["n"] = 1


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A store with `unify`, `minimise` made from it, and `split` made from that; a view and a gate of the second."""
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "store")
    store.open()
    stamps, source = {}, None
    for step in ("unify", "minimise", "split"):
        recipe = Recipe(step, (), "data", {}, {"from": Input(source.key, where=source.where)} if source else {})
        recipe.write(store.root, False)
        stamps[step] = STAMPS / recipe.where
        make(step, stamps[step], write)
        source = recipe
    linking.link(stamps["minimise"], [VIEW], None, everything=False)
    linking.write_gate(stamps["minimise"], GATE)
    write_json(Path("results/manifest.json"), {"views": {"data/out.txt": {}}})
    manifest = Path("results/manifest.json")
    manifest.rename("listed.json")
    manifest.symlink_to("../listed.json")
    assert verify(Path("results"), 1).wrong == []
    return store, stamps


def where(stamp):
    return stamp.relative_to(STAMPS).as_posix()


def flip(path, old, new):
    """Changes one byte, or a few, of a file that nobody may write."""
    content = path.read_bytes()
    assert content.count(old) >= 1 and len(old) == len(new)
    path.chmod(0o600)
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("out.txt", b"aaa", b"aab", "out.txt differs from its sha256"),
        ("manifest.json", b'"n": 1', b'"n": 2', "manifest.json was changed"),
        ("manifest.json", b'"size": 1000', b'"size": 1001', "manifest.json was changed"),
        ("manifest.json", b"{", b"[", "manifest.json was changed"),
    ],
)
def test_a_flipped_byte_of_an_entry_is_found_and_never_used(made, file, old, new, said):
    store, stamps = made
    entry = where(stamps["minimise"])
    flip(store.path(entry) / file, old, new)
    stamps["split"].unlink()
    store.set_aside(where(stamps["split"]))
    with pytest.raises(UserError, match=f"an input is damaged .{said}"):
        make("split", stamps["split"], write)
    assert not store.has(entry) and not stamps["split"].exists()
    lines = verify(Path("results"), 1).wrong
    assert f"missing: {entry}; ask for it: {stamps['minimise']}" in lines


@pytest.mark.parametrize("file", ["out.txt", "manifest.json"])
def test_verify_sets_a_damaged_entry_aside_and_names_what_makes_it_anew(made, file):
    store, stamps = made
    entry = where(stamps["minimise"])
    flip(store.path(entry) / file, b"a", b"b")
    lines = verify(Path("results"), 2).wrong
    damaged = [line for line in lines if line.startswith("damaged and set aside")]
    assert len(damaged) == 1 and damaged[0].endswith(f"ask for it: {stamps['minimise']}")
    assert not store.has(entry) and not stamps["minimise"].exists()
    assert f"view of a missing file: {VIEW}; ask for it: {VIEW}" in lines
    assert any(line.startswith(f"gate of a missing entry: {GATE}") for line in lines)


def test_an_entry_that_another_was_made_from_is_missed_even_without_its_stamp(made):
    store, stamps = made
    entry = where(stamps["unify"])
    store.set_aside(entry)
    stamps["unify"].unlink()
    assert verify(Path("results"), 1).wrong == [f"missing: {entry}; ask for it: {stamps['unify']}"]


@pytest.mark.parametrize(("old", "new"), [(b'"n": 1', b'"n": 2'), (b"{", b"["), (b'"size": 1000', b'"size": 1001')])
def test_a_changed_gate_is_found_and_taken_away(made, old, new):
    store, _ = made
    mending.gates(store)
    assert GATE.is_file()
    flip(GATE, old, new)
    assert verify(Path("results"), 1).wrong == [f"gate was changed: {GATE}; ask for it: {GATE}"]
    mending.gates(store)
    assert not GATE.exists()


def test_a_gate_whose_entry_is_gone_is_taken_away(made):
    store, stamps = made
    store.set_aside(where(stamps["minimise"]))
    mending.gates(store)
    assert not GATE.exists()


def test_a_view_that_is_no_link_any_more_is_found_and_kept_under_another_name(made, capsys):
    text = VIEW.read_bytes()
    VIEW.unlink()
    VIEW.write_bytes(text.replace(b"a", b"b", 1))
    assert verify(Path("results"), 1).wrong == [f"view is no link to the store: {VIEW}; ask for it: {VIEW}"]
    mending.views([VIEW, Path("results/.pages/x.html")])
    assert not VIEW.exists() and VIEW.with_name("out.txt.edited").read_bytes().startswith(b"b")
    assert "out.txt.edited" in capsys.readouterr().err


def test_a_view_that_leads_to_another_entry_is_found(made):
    _, stamps = made
    listed = {"data/out.txt": {"entry": where(stamps["minimise"]), "file": "out.txt"}}
    write_json(Path("listed.json"), {"views": listed})
    assert verify(Path("results"), 1).wrong == []
    linking.link(stamps["split"], [VIEW], None, everything=False)
    assert verify(Path("results"), 1).wrong == [f"view of another file: {VIEW}; take it away and ask for it: {VIEW}"]
    listed["data/out.txt"]["entry"] = f"split/{'0' * 20}"  # a later run's, which the manifest does not list yet
    write_json(Path("listed.json"), {"views": listed})
    assert verify(Path("results"), 1).wrong == []


def test_a_view_that_leads_nowhere_is_taken_away(made):
    store, stamps = made
    mending.views([VIEW])
    assert VIEW.is_symlink()
    store.set_aside(where(stamps["minimise"]))
    mending.views([VIEW])
    assert not VIEW.is_symlink()


def test_a_gate_says_what_its_entry_says(made):
    store, stamps = made
    said, held = read_json(GATE), store.manifest(where(stamps["minimise"]))
    assert said["files"] == held["files"] and said["facts"] == held["facts"] == {"n": 1}
    assert store.manifest(where(stamps["split"]))["reads"] == [[where(stamps["minimise"]), None]]
