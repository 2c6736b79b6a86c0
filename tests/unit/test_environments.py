"""The environments beside .venv follow the one lock: conda's file, the image's definition, and torch's build in envs/setup.sh."""

import hashlib
import os
import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from mindgauge import conda, lock
from mindgauge.files import write_text

FILE = ROOT / "envs/conda/mindgauge.yaml"


def test_the_conda_file_is_in_step_with_the_lock(tmp_path):
    program = [sys.executable, "workflow/scripts/conda_env.py", "--check"]
    assert subprocess.run(program, cwd=ROOT).returncode == 0
    assert FILE.read_text(encoding="utf-8") == conda.environment()


def test_the_conda_file_pins_what_the_steps_use_and_no_build_of_torch():
    held = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    (pip,) = (of["pip"] for of in held["dependencies"] if isinstance(of, dict))
    pins, _ = lock.read_lock(lock.LOCK)
    assert all(any(line.partition(" --")[0] == pin for pin in pins[line.partition("==")[0]]) for line in pip)
    names = {line.partition("==")[0] for line in pip}
    assert {"snakemake", "torch", "trl", "llama-cpp-python", "rjieba"} <= names
    assert not names & {"pytest", "ruff"} and not any(name.startswith(("nvidia-", "triton")) for name in names)
    for group in set(lock.project_groups()) - {"dev"}:
        needed = {re.split("[=: ]", line)[0] for line in lock.packages(group)} - {"torch"}
        assert not {name for name in needed - names if not name.startswith(conda.GPU_PARTS)}


def test_pip_takes_the_conda_files_lines_and_finds_them_installed(tmp_path):
    """The environment that runs the tests comes from the same lock: pip, which reads markers and options, has nothing to fetch."""
    write_text(tmp_path / "requirements.txt", "\n".join(conda.requirements()) + "\n")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-index", "-r", str(tmp_path / "requirements.txt")], capture_output=True, text=True
    )
    assert done.returncode == 0 and "Would install" not in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


def test_llama_cpp_is_built_alike_everywhere():
    flags = set(re.findall(r"-D[A-Z_]+=(?:\$build|[A-Z]+)", (ROOT / "envs/setup.sh").read_text()))
    assert {flag.replace("$build", "OFF") for flag in flags} == set(re.findall(r"-D[A-Z_]+=[A-Z]+", conda.BUILT))


def test_the_image_is_made_by_the_setup_program_from_all_it_reads():
    text = (ROOT / "envs/mindgauge.def").read_text()
    copied = dict(
        re.findall(r"^    (\S+) /opt/mindgauge/(\S+)$", text.partition("%files")[2].partition("%post")[0], re.MULTILINE)
    )
    assert all(source == target and (ROOT / source).exists() for source, target in copied.items())
    setup = (ROOT / "envs/setup.sh").read_text()
    read = set(re.findall(r"\b(envs/[\w.]+|pyproject\.toml)\b", re.sub(r"(?m)^\s*#.*", "", setup)))
    assert read <= set(copied) and "bash /opt/mindgauge/envs/setup.sh" in text
    project = (ROOT / "pyproject.toml").read_text()
    assert set(re.findall(r'^(?:readme|license-files) = \[?"([^"]+)"', project, re.MULTILINE)) <= set(copied)
    assert "://" not in text and 'container: "envs/mindgauge.sif"' in (ROOT / "Snakefile").read_text()


# A Python that makes an environment with itself in it, and whose pip writes down what it is asked for.
STUB = """\
#!/bin/bash
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *" download "*) cp sdist.tar.gz "$CACHE/sdist/llama_cpp_python-$VERSION.tar.gz" ;;
  *" wheel "*) mkdir -p "${!#}" ; for ((n=1; n<=$#; n++)); do [ "${!n}" = -w ] && { m=$((n+1)); mkdir -p "${!m}"; touch "${!m}/llama_cpp_python-$VERSION-py3-none-any.whl"; }; done; true ;;
  *" install "*) echo "$*" >> asked.txt ;;
  *) exec "$REAL" "$@" ;;
esac
"""


@pytest.fixture
def setup(tmp_path):
    """A function that runs envs/setup.sh in a copy without a network, and returns what pip was asked to install."""
    (version,) = re.findall(r"(?m)^llama-cpp-python==(\S+)$", lock.LOCK.read_text())
    for name in ("envs/lock.txt", "envs/setup.sh", "pyproject.toml"):
        write_text(tmp_path / name, (ROOT / name).read_text())
    sha = hashlib.sha256(b"sources").hexdigest()
    (tmp_path / "sdist.tar.gz").write_bytes(b"sources")
    write_text(tmp_path / "envs/sdist.lock", f"{sha}  llama_cpp_python-{version}.tar.gz\n")
    write_text(tmp_path / "python", STUB)
    (tmp_path / "python").chmod(0o755)
    paths = {
        "MINDGAUGE_CACHE": str(tmp_path / "cache"),
        "CACHE": str(tmp_path / "cache"),
        "PYTHON": str(tmp_path / "python"),
    }

    def run(**environment):
        (tmp_path / "asked.txt").write_text("")
        held = {name: value for name, value in os.environ.items() if not name.startswith("MINDGAUGE_")}
        held |= {**paths, "REAL": sys.executable, "VERSION": version, **environment}
        done = subprocess.run(["bash", "envs/setup.sh"], cwd=tmp_path, env=held, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return (tmp_path / "asked.txt").read_text().splitlines()

    return run


def test_the_build_of_torch_is_chosen_by_an_index_and_kept(setup):
    (torch,) = (line.partition(" ;")[0] for line in lock.read_lock(lock.LOCK)[0]["torch"])
    (plain,) = setup()
    assert "--index-url" not in plain and "-c envs/lock.txt" in plain
    assert setup() == []  # as it is wanted
    chosen = next(line for line in setup(MINDGAUGE_TORCH_INDEX="/builds/cu126") if "--index-url" in line)
    assert chosen.endswith(f"--no-deps --index-url /builds/cu126 {torch}")
    assert setup() == [] == setup(MINDGAUGE_TORCH_INDEX="/builds/cu126")  # remembered by the clone
    assert all("--index-url" not in line for line in setup(MINDGAUGE_TORCH_INDEX=""))
