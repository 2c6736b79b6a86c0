"""The benchmarks run and print their tables; what that of planning pretends to be made is what the workflow takes for made."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_planning_many_models_is_measured_beside_a_bare_workflow_of_the_same_jobs():
    command = [sys.executable, "tests/benchmarks/dag.py", "--models", "1", "--rounds", "1"]
    environment = {**os.environ, "PYTHONPATH": "workflow/scripts"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split("|")[1:6] for line in done.stdout.splitlines() if line.startswith("| 1 |")]
    assert [row[-1].strip() for row in rows] == ["ours", "bare", "bare with checkpoints"], done.stdout
    assert len({row[1] for row in rows}) == 1


@pytest.mark.slow
def test_training_is_measured_beside_plain_trl_and_transformers():
    command = [sys.executable, "tests/benchmarks/training.py", "--shape", "tiny", "--steps", "1", "--rounds", "1"]
    environment = {**os.environ, "PYTHONPATH": "workflow/scripts"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [[cell.strip() for cell in line.split("|")[1:7]] for line in done.stdout.splitlines() if line[:1] == "|"]
    assert rows[0][:2] == ["way", "rows/s"] and [row[0] for row in rows[2:]] == ["ours", "trl", "trainer"], done.stdout
    assert all(float(row[1]) > 0 and float(row[4]) > 0 for row in rows[2:])
    assert rows[3][3] == "1.00 (1.00 to 1.00)"
