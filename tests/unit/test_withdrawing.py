"""Which views a failed run takes away."""

from mindgauge.withdrawing import outdated, withdraw


def test_what_shows_another_entry_than_the_planned_one_is_taken_away(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = tmp_path / "results/.store"
    links = {
        "data/unified.jsonl": "unify/aa/unified.jsonl",
        "models/m/adapter/run.json": "train/m/bb/run.json",
        "models/m/bundle/Q8_0/deep/README.md": "bundle/m/Q8_0/cc/deep/README.md",
        "models/left/adapter/run.json": "train/left/dd/run.json",
        "report/index.html": "report/ee/index.html",
    }
    for view, target in links.items():
        (store / target).parent.mkdir(parents=True)
        (store / target).write_text("x")
        (tmp_path / "results" / view).parent.mkdir(parents=True)
        (tmp_path / "results" / view).symlink_to(store / target)
    (tmp_path / "results/report/elsewhere").symlink_to(tmp_path)
    planned = {"unify": "unify/aa", "train/m": "train/m/b2", "bundle/m/Q8_0": None, "report": "report/ee"}
    gone = ["results/models/m/adapter/run.json", "results/models/m/bundle/Q8_0/deep/README.md"]
    assert [str(view) for view in outdated(store, planned)] == gone
    withdraw(store, planned)
    left = {str(path) for path in (tmp_path / "results").rglob("*") if path.is_symlink()}
    assert len(left) == 4 and not any(view in path for path in left for view in gone)
    assert (store / "train/m/bb/run.json").is_file()  # nothing in the store is touched
    said = capsys.readouterr().err
    assert "2 files under results/" in said and gone[0] in said
    withdraw(store, planned)
    assert capsys.readouterr().err == ""
