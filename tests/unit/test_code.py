import shutil

import pytest
from conftest import ROOT

from mindgauge import code, lock


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of the programs, whose hashes are taken instead of the repository's."""
    shutil.copytree(
        ROOT / "workflow/scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    monkeypatch.setattr(code, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(code, "LIBRARY", tmp_path / "scripts/mindgauge")
    return tmp_path / "scripts"


def hashes():
    code.code_hash.cache_clear()
    return {step: code.code_hash(step) for step in ("unify", "train", "evaluate", "report", "convert")}


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comments_docstrings_and_blank_lines_cost_nothing(tree):
    before = hashes()
    edit(tree / "train.py", '"""', '# a comment\n\n"""Another sentence. ')
    edit(tree / "mindgauge/training.py", "    gc.collect()", "    # why\n        gc.collect()")
    assert hashes() == before


def test_a_changed_expression_costs_the_steps_that_import_it(tree):
    before = hashes()
    edit(tree / "mindgauge/training.py", "logging_steps=1", "logging_steps=6")
    after = hashes()
    assert {step for step in before if before[step] != after[step]} == {"train"}


def test_what_is_imported_on_the_way_counts(tree):
    before = hashes()
    edit(tree / "mindgauge/chat.py", '"<|eot_id|>"', '"<|other|>"')
    after = hashes()
    assert {"train", "evaluate"} <= {step for step in before if before[step] != after[step]}
    assert after["unify"] == before["unify"]


def test_the_harness_and_messages_cost_nothing(tree):
    before = hashes()
    edit(tree / "mindgauge/progress.py", "5.0", "7.0")
    edit(tree / "mindgauge/step.py", "done in", "finished in")
    assert hashes() == before


def test_a_data_file_of_a_module_counts(tree):
    before = hashes()
    edit(tree / "mindgauge/report_templates/index.html.j2", "<main>", "<main >")
    edit(tree / "mindgauge/hf_to_gguf.py", "sys.argv[0] =", "sys.argv[0] = '' or")
    after = hashes()
    assert {step for step in before if before[step] != after[step]} == {"report", "convert"}


def test_every_step_has_a_hash_and_packages(in_root):
    from mindgauge.plan import Plan

    for step in [
        name.removeprefix("_")
        for name in vars(Plan)
        if name.startswith("_") and (ROOT / f"workflow/scripts/{name[1:]}.py").is_file()
    ]:
        assert len(code.code_hash(step)) == 64


def test_a_group_takes_its_closure_only():
    assert not any(line.startswith(("torch==", "trl==")) for line in lock.packages("data"))
    train = lock.packages("train")
    assert any(line.startswith("trl==") for line in train) and any(line.startswith("torch build: ") for line in train)
    assert any(line.startswith("safetensors==") for line in train)  # of torch's group, which train includes
    assert not any(line.startswith("llama-cpp-python==") for line in train)


def test_the_lock_holds_nothing_of_a_machine():
    text = lock.LOCK.read_text()
    assert "file:" not in text and "+cpu" not in text and "://" not in text and "/opt" not in text
