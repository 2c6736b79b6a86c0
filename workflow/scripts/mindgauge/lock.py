"""The locked software behind a step: the closure of its group in envs/lock.txt, and which build of torch is installed."""

import importlib.metadata
import re
import tomllib
from functools import cache
from pathlib import Path

from mindgauge.errors import UserError

ROOT = Path(__file__).parents[3]
LOCK, PROJECT = ROOT / "envs/lock.txt", ROOT / "pyproject.toml"


def normalised(name: str) -> str:
    """A distribution's name in its one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
    """The pins (name -> its lines; several where markers differ) and, from the `# via` comments of `uv pip compile`,
    which packages each package asks for."""
    pins: dict[str, list[str]] = {}
    asks: dict[str, set[str]] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)(.*)", line):
            name = normalised(match[1])
            pins.setdefault(name, []).append(line.strip())
        elif (match := re.match(r"\s+#\s+(?:via\s+)?([A-Za-z0-9._-]+)", line)) and match[1] != "via":
            asks.setdefault(normalised(match[1]), set()).add(name)
    return pins, asks


def project_version() -> str:
    """The version of this software."""
    found: str = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    return found


def project_groups() -> list[str]:
    """The groups of packages in pyproject.toml."""
    return list(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"])


def group_roots(group: str) -> set[str]:
    """The packages a group of pyproject.toml names, with those of the groups it includes and of the core."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    groups: dict[str, list[str]] = {**project["optional-dependencies"], "core": project["dependencies"]}
    if group not in groups:
        raise UserError(
            f"there is no group {group!r} of packages", where=str(PROJECT), instead=f"one of {sorted(groups)}"
        )
    roots: set[str] = set()
    waiting, seen = [group, "core"], set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for requirement in groups[current]:
            if included := re.match(rf"{project['name']}\[(.+)\]$", requirement):
                waiting += included[1].split(",")
            elif match := re.match(r"[A-Za-z0-9._-]+", requirement):
                roots.add(normalised(match[0]))
    return roots


@cache
def torch_build() -> str:
    """`cpu`, or `cuda12.8` and the like, from the installed torch without importing it (it takes seconds)."""
    try:
        text = Path(str(importlib.metadata.distribution("torch").locate_file("torch/version.py"))).read_text()
    except (importlib.metadata.PackageNotFoundError, OSError):
        return "none"
    match = re.search(r"^cuda\b[^=]*=\s*'([\d.]+)'", text, re.MULTILINE)
    return f"cuda{match[1]}" if match else "cpu"


@cache
def packages(group: str) -> tuple[str, ...]:
    """The locked lines of everything a group needs, sorted; for torch also its build."""
    pins, asks = read_lock(LOCK)
    roots = group_roots(group)
    if missing := sorted(roots - pins.keys()):
        raise UserError(f"{missing[0]} is not locked", where=str(LOCK), instead="lock again: make lock")
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += asks.get(name, ())
    lines = sorted(line for name in found for line in pins[name])
    return (*lines, f"torch build: {torch_build()}") if "torch" in found else tuple(lines)
