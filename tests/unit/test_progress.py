import contextlib
import io
import sys

import pytest

from mindgauge import progress
from mindgauge.errors import UserError
from mindgauge.placeless import Placeless
from mindgauge.recipe import STAMPS, Recipe
from mindgauge.step import exit_on_user_error, run
from mindgauge.store import Store


def test_progress_tells_how_many_how_fast_and_how_long():
    out = io.StringIO()
    assert list(progress.Progress(range(3), what="rows", stream=out)) == [0, 1, 2]
    assert out.getvalue().startswith("3/3 rows, ")
    shown = progress.Progress(iter(()), total=100, what="rows").line(20, 10.0)
    assert shown == "20/100 rows, 2.0/s, 40 s left"
    assert progress.span(3700) == "1 h 01 min" and progress.span(65) == "1 min 05 s"


def test_progress_also_goes_to_the_terminal_that_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(progress.TERMINAL, str(tmp_path / "terminal"))
    monkeypatch.setattr(progress, "job", "train m")
    progress.tell("step 1/2")
    assert (tmp_path / "terminal").read_text() == "  train m: step 1/2\n" and capsys.readouterr().err == "step 1/2\n"
    monkeypatch.setenv(progress.TERMINAL, str(tmp_path / "no/such"))
    progress.tell("step 2/2")


def test_what_went_wrong_goes_there_too_but_not_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(progress.TERMINAL, str(tmp_path / "terminal"))
    for job in ("bundle m", ""):  # a job; Snakemake itself, whose stderr is the terminal
        monkeypatch.setattr(progress, "job", job)
        with pytest.raises(SystemExit), exit_on_user_error():
            raise UserError("wrong", where="here", instead="this")
        assert "wrong" in capsys.readouterr().err
    told = (tmp_path / "terminal").read_text()
    assert told.startswith("  bundle m: ") and told.count("wrong") == 1 and "instead: this" in told


def test_a_full_disk_is_told_without_a_traceback(capsys):
    with pytest.raises(SystemExit), exit_on_user_error(), open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    shown = capsys.readouterr().err
    assert "the disk is full" in shown and "MINDGAUGE_STORE" in shown and "Traceback" not in shown
    with pytest.raises(FileNotFoundError), exit_on_user_error(), open("/nowhere/at/all"):
        pass


def test_a_log_does_not_tell_where_things_lie(tmp_path, monkeypatch):
    clone, store = tmp_path / "someone/clone", tmp_path / "someone/scratch/store"
    for place in (clone, store):
        place.mkdir(parents=True)
    monkeypatch.chdir(clone)
    monkeypatch.setenv("HOME", str(tmp_path / "someone"))
    log = io.StringIO()
    placeless = Placeless(log)
    placeless.name(store, "(store)")
    with contextlib.redirect_stderr(placeless):
        print(f"read {clone}/data/a.txt, wrote {store}/x, kept {tmp_path}/someone/.cache", file=sys.stderr, flush=True)
    assert log.getvalue() == "read ./data/a.txt, wrote (store)/x, kept ~/.cache\n"


def test_the_traceback_of_a_crash_does_not_tell_where_things_lie(tmp_path, monkeypatch, capsys):
    clone, store = tmp_path / "someone/clone", Store(tmp_path / "elsewhere/store")
    clone.mkdir(parents=True)
    monkeypatch.chdir(clone)
    monkeypatch.setenv("HOME", str(tmp_path / "someone"))
    store.open()
    recipe = Recipe("unify", (), "data", {}, {})
    recipe.write(store.root, False)

    def work(step):
        try:
            (clone / "data/none.txt").read_text()
        except FileNotFoundError as error:
            raise ValueError(f"nothing for {step.out}") from error

    monkeypatch.setattr(sys, "argv", ["unify.py", "--entry", str(STAMPS / recipe.where)])
    with pytest.raises(SystemExit) as ended:
        run("unify", work, None)
    shown = capsys.readouterr().err
    assert ended.value.code == 1 and str(tmp_path) not in shown
    assert "ValueError: nothing for (store)/" in shown and "FileNotFoundError" in shown and "'./data/none.txt'" in shown
