"""A recipe: all that decides an entry, and where its inputs lie. Its key is the entry's name.

The main process writes it while the DAG is built; the step's program reads it, and nothing else, for its parameters.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mindgauge.files import read_json, write_text
from mindgauge.hashing import KEY_DIGITS, digest
from mindgauge.known_code import code_hash
from mindgauge.lock import packages

STAMPS, RECIPES = Path("results/.entries"), Path("results/.recipes")


@dataclass(frozen=True)
class Input:
    """One input: `identity` goes into the key (a key, or the hash of the content behind a gate); `where` is the entry it
    is read from, or `path` a file or directory outside the store. `files` are those of the entry that count; None for all."""

    identity: str
    where: str | None = None
    path: str | None = None
    files: tuple[str, ...] | None = None

    def written(self) -> list[Any]:
        """As a recipe file has it."""
        return [self.where, self.path, list(self.files) if self.files is not None else None]


@dataclass(frozen=True)
class Recipe:
    """What decides one entry. `inputs` and `lists` hold Input by name; `group` is the group of packages it runs on.

    `uses` names the modules of the library that its program is told to load (a backend). `pace` is what makes it faster or
    slower and never decides what comes out. `by_record` names the inputs and params that say which records there are, where each is handled
    alone: what is found of one holds as long as the rest of the recipe does, whatever the others are.
    """

    step: str
    names: tuple[str, ...]
    group: str
    params: dict[str, Any]
    inputs: dict[str, Input] = field(default_factory=dict)
    lists: dict[str, list[Input]] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    pace: dict[str, Any] = field(default_factory=dict)
    by_record: tuple[str, ...] = ()

    def hashed(self) -> dict[str, Any]:
        """The part the key is the hash of."""
        return {
            "step": self.step,
            "names": list(self.names),
            "code": code_hash(self.step, self.uses),
            "packages": list(packages(self.group)),
            "params": self.params,
            "inputs": {name: source.identity for name, source in self.inputs.items()},
            "lists": {name: [source.identity for source in sources] for name, sources in self.lists.items()},
        }

    @cached_property
    def key(self) -> str:
        """The first hex digits of the sha256 of all that decides the entry."""
        return digest(self.hashed())[:KEY_DIGITS]

    @cached_property
    def where(self) -> str:
        """The entry's path below the store."""
        return "/".join([self.step, *self.names, self.key])

    def write(self, store: Path, group: bool) -> None:
        """Writes the recipe file of the entry, unless it says so already."""
        value = {
            "recipe": self.hashed(),
            "group": self.group,
            "uses": list(self.uses),
            "pace": self.pace,
            "by_record": list(self.by_record),
            "store": {"path": str(store), "group": group},
            "inputs": {name: source.written() for name, source in self.inputs.items()},
            "lists": {name: [source.written() for source in sources] for name, sources in self.lists.items()},
        }
        path = RECIPES / f"{self.where}.json"
        if not path.is_file() or read_json(path) != value:
            # In one line: what indents is written in Python, and slow for a thousand recipes.
            write_text(path, json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n")


def recipe_file(stamp: Path) -> Path:
    """The recipe file of the entry that a stamp names."""
    return RECIPES / f"{stamp.relative_to(STAMPS).as_posix()}.json"
