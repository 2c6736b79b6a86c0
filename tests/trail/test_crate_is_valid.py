"""The crate, held against the Workflow Run Crate profile by the real roc-validator, in a virtual environment of its own.

The validator fetches the contexts that a crate names. Without a network it reads them from the crate: rocrate's copy is put
where the address stands.
"""

import json
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest
from small_crate import made

VALIDATOR = "roc-validator==0.13.0"
# rocrate's copy is the context of RO-Crate 1.3, which names these otherwise than that of 1.1, which the crate follows.
AS_IN_1_1 = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """The validator's program. Skips where pip cannot fetch it; with pip's last line as the reason."""
    into = tmp_path_factory.mktemp("roc")
    venv.create(into, with_pip=True)
    pip = [into / "bin/python", "-m", "pip", "--disable-pip-version-check", "-q", "install", VALIDATOR]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot fetch {VALIDATOR}: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return into / "bin/rocrate-validator"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A crate whose context needs no network."""
    rocrate = pytest.importorskip("rocrate")
    root = tmp_path_factory.mktemp("crate")
    with zipfile.ZipFile(made(root)) as packed:
        packed.extractall(root / "unpacked")
    metadata = root / "unpacked/ro-crate-metadata.json"
    held = json.loads(metadata.read_text())
    copy = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())["@context"]
    assert held["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    held["@context"][0] = {**copy, **AS_IN_1_1}
    metadata.write_text(json.dumps(held))
    return root / "unpacked"


def validated(validator, crate, out):
    """The validator's report on a crate, as JSON."""
    options = ["--offline", "--cache-path", out.with_suffix(".cache"), "-p", "workflow-run-crate", "-l", "required"]
    command = [validator, "-y", "--disable-color", "validate", *options, "-f", "json", "-o", out, crate]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert out.is_file(), done.stdout + done.stderr
    return json.loads(out.read_text())


def test_a_crate_is_a_workflow_run_crate_and_a_damaged_one_is_not(validator, unpacked, tmp_path):
    found = validated(validator, unpacked, tmp_path / "whole.json")
    assert found["passed"] and not found["issues"], [issue["message"] for issue in found["issues"]]
    assert found["statistics"]["total_checks"] > 50 and found["statistics"]["total_failed_checks"] == 0
    assert {"workflow-run-crate-0.5", "process-run-crate-0.5"} <= {*found["statistics"]["profiles"]}

    metadata = unpacked / "ro-crate-metadata.json"
    held = json.loads(metadata.read_text())
    held["@graph"] = [entity for entity in held["@graph"] if entity["@id"] != "Snakefile"]
    metadata.write_text(json.dumps(held))
    damaged = validated(validator, unpacked, tmp_path / "damaged.json")
    assert not damaged["passed"] and damaged["statistics"]["total_failed_checks"] > 0
