"""The lock as a conda environment: conda gives Python and a compiler, pip the locked packages, all by their exact versions."""

from mindgauge.lock import packages, project_groups

# What torch's own wheel asks for by exact versions, in a CUDA build alone: named here, it would be forced on CPU builds too.
GPU_PARTS = ("nvidia-", "cuda-", "triton")
# As envs/setup.sh builds it: a native build may die on another CPU of the cluster.
BUILT = 'llama-cpp-python=={version} --config-settings="cmake.args=-DGGML_NATIVE=OFF;-DLLAVA_BUILD=OFF"'
HEAD = """\
# Made from envs/lock.txt by workflow/scripts/conda_env.py (make lock). Do not edit.
name: mindgauge
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - cxx-compiler
  - pip:
"""


def requirements() -> list[str]:
    """The locked packages of all groups but `dev`, as lines of a requirements file, markers kept."""
    groups = [group for group in project_groups() if group != "dev"]
    lines = {line for group in groups for line in packages(group) if "==" in line.partition(";")[0]}
    found = []
    for line in sorted(lines):
        name, _, version = line.partition("==")
        if not name.startswith(GPU_PARTS):
            found.append(BUILT.format(version=version) if name == "llama-cpp-python" else line)
    return found


def environment() -> str:
    """The text of the environment's YAML file."""
    # Single-quoted YAML: markers hold single quotes, which are doubled.
    quoted = ("'" + line.replace("'", "''") + "'" for line in requirements())
    return HEAD + "".join(f"      - {line}\n" for line in quoted)
