"""What the benchmark of planning pretends to be made is what the workflow takes for made."""

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
