import shutil

import pytest
from conftest import ROOT

from mindgauge import code, known_code


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of the programs, whose hashes are taken and kept instead of the repository's."""
    shutil.copytree(
        ROOT / "workflow/scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    monkeypatch.setattr(code, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(code, "LIBRARY", tmp_path / "scripts/mindgauge")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    yield tmp_path / "scripts"
    forget()


def forget():
    """What a new process has not in memory."""
    for of in (code.code_hash, known_code.code_hash, known_code._kept):
        of.cache_clear()


@pytest.fixture
def hashed(tree, monkeypatch):
    """The hashes of two steps as a new process takes them, and those of them that it worked out."""
    worked_out = []
    real = code.code_hash

    def work(step, uses):
        worked_out.append(step)
        return real(step, uses)

    def take():
        forget()
        worked_out.clear()
        with monkeypatch.context() as patched:
            patched.setattr(code, "code_hash", work)
            found = {step: known_code.code_hash(step) for step in ("unify", "train")}
            known_code.keep()
        assert found == {step: real(step) for step in found}
        return worked_out

    return take


def test_a_second_process_works_nothing_out(hashed):
    assert hashed() == ["unify", "train"] and not hashed()


@pytest.mark.parametrize("edited", ["train.py", "mindgauge/training.py", "mindgauge/labels.py"])
def test_any_change_of_the_code_has_all_worked_out_anew(hashed, tree, edited):
    hashed()
    text = (tree / edited).read_text()
    (tree / edited).write_text(text + "\n\nCHANGED = True\n")
    assert hashed() == ["unify", "train"] and not hashed()
    # As it was, but only the last state is kept.
    (tree / edited).write_text(text)
    assert hashed() == ["unify", "train"]


def test_what_no_longer_holds_is_not_believed(hashed):
    hashed()
    kept = known_code.KEPT.read_text()
    known_code.KEPT.write_text(kept.replace('"train": "', '"train": "0', 1))
    assert hashed() == ["unify", "train"]
    known_code.KEPT.write_text(kept[:40])
    assert hashed() == ["unify", "train"] and not hashed()


def test_code_that_is_edited_while_a_process_works_is_not_kept(tree):
    known_code._kept()
    (tree / "unify.py").write_text((tree / "unify.py").read_text() + "\n\nCHANGED = True\n")
    known_code.code_hash("unify")
    known_code.keep()
    assert not known_code.KEPT.exists()
