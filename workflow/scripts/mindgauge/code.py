"""The hash of the code a step runs: its program and the library modules it imports, through their syntax trees.

Comments, formatting and docstrings cost nothing; a changed expression does. What only carries bytes (the harness: step, lease,
errors, progress, disk) is left out, since no result follows from it: a step program imports it, and it is not descended into.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).parent
SCRIPTS = LIBRARY.parent
HARNESS = frozenset({"step", "lease", "errors", "progress", "disk", "placeless"})


def _canonical(node: Any) -> Any:
    """A syntax tree as plain lists. Empty and absent fields are left out: they are what differs between Python's minor
    versions (ast.dump prints them or not)."""
    if isinstance(node, ast.AST):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, False) is not None
        ):
            node.body = node.body[1:]
        fields = [
            (name, _canonical(value))
            for name, value in ast.iter_fields(node)
            if name not in ("ctx", "type_comment", "kind")
        ]
        return [type(node).__name__, [[name, value] for name, value in fields if value not in (None, [])]]
    if isinstance(node, list):
        return [_canonical(item) for item in node]
    return node if node is None else [type(node).__name__, repr(node)]


def _file_of(module: str) -> Path | None:
    """The file of a module of the library, or None if it is none of ours."""
    parts = module.split(".")
    if parts[0] != LIBRARY.name:
        return None
    base = LIBRARY.joinpath(*parts[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(tree: ast.AST, package: str) -> set[str]:
    """Names of the modules a tree imports, anywhere in it (an import inside a function counts)."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *([base] if base else [])]
                )
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def _data_files(tree: ast.Module) -> list[str]:
    """What a module's `DATA_FILES = ("name", …)` names: files beside it that decide its results too."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "DATA_FILES" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def _module_name(path: Path) -> str:
    relative = path.relative_to(SCRIPTS).with_suffix("")
    return ".".join(relative.parts[:-1] if relative.name == "__init__" else relative.parts)


@dataclass(frozen=True)
class _Module:
    """What one file of code says: the modules it imports, the data files it names, and its canonical tree as text."""

    imports: frozenset[str]
    data: tuple[str, ...]
    canonical: str


@cache
def _parsed(text: str, package: str) -> _Module:
    """Many steps import the same modules: each is parsed once."""
    tree = ast.parse(text)
    imports, data = frozenset(_imports(tree, package)), tuple(_data_files(tree))
    return _Module(imports, data, repr(_canonical(tree)))


def _module(path: Path) -> _Module:
    name = _module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return _parsed(path.read_text(encoding="utf-8"), package)


def closure(program: Path, uses: tuple[str, ...] = ()) -> list[Path]:
    """The program, the modules it is told to use (a backend), and every file of the library they import, directly or not, in a
    fixed order, without the harness."""
    seen: set[Path] = set()
    waiting = [program, *(file for module in uses if (file := _file_of(module)))]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        found = _module(path)
        waiting += [path.parent / data for data in found.data if data.endswith(".py")]
        for module in found.imports:
            file = _file_of(module)
            if file and file != LIBRARY / "__init__.py" and _module_name(file).split(".")[1] not in HARNESS:
                waiting.append(file)
    return sorted(seen)


@cache
def code_hash(step: str, uses: tuple[str, ...] = ()) -> str:
    """The hash, 64 hex digits, of the program of a step, the modules it is told to use, and all they import from the library."""
    digest = hashlib.sha256()
    for path in closure(SCRIPTS / f"{step}.py", uses):
        found = _module(path)
        parts: list[Any] = [_module_name(path)]
        parts += [
            [data, hashlib.sha256((path.parent / data).read_bytes()).hexdigest()]
            for data in found.data
            if not data.endswith(".py")
        ]
        digest.update(f"[{', '.join(map(repr, parts))}, {found.canonical}]".encode())
    return digest.hexdigest()
