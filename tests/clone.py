"""Clones of the repository in which Snakemake is run as a user runs it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import ROOT

# A few steps: these tests are about which jobs run, not about what the models learn.
OVERLAY = """
train: {max_steps: 4, eval_steps: 2, save_steps: 2, batch_size: 2}
evaluate: {max_new_tokens: 16}
"""
COSTLY = {
    "make_label",
    "make_label_by_model",
    "make_train",
    "make_merge",
    "make_convert",
    "make_imatrix",
    "make_quantise",
    "make_evaluate",
    "make_fidelity",
    "make_bench",
    "make_choose",
    "make_bundle",
    "make_baselines",
}
TOPS = [
    "Snakefile",
    "rules",
    "config",
    "workflow",
    "profiles",
    "envs",
    "report",
    "data",
    "docs",
    "pyproject.toml",
    "LICENSE",
    "CITATION.cff",
    "README.md",
]


class Clone:
    """A copy of the repository's files with a store, which may be shared."""

    def __init__(self, directory: Path, store: Path) -> None:
        self.root, self.store = directory, store
        # What runs in it finds beside the environment of the tests; and what stands before its command lines.
        self.environment: dict[str, str] = {}
        self.before: list[str] = []

    @classmethod
    def new(cls, directory: Path, store: Path, tiny: Path) -> "Clone":
        """One in which nothing has been made, with the tiny models of a directory."""
        for top in TOPS:
            source = ROOT / top
            if source.is_dir():
                shutil.copytree(
                    source,
                    directory / top,
                    ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "models.lock.yaml"),
                )
            else:
                directory.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, directory / top)
        (directory / "build").mkdir()
        (directory / "build/tiny").symlink_to(tiny)
        (directory / "overlay.yaml").write_text(OVERLAY)
        return cls(directory, store)

    def call(
        self, *arguments: str, profile: str = "demo", overlays: tuple[str, ...] = ()
    ) -> tuple[list[str], dict[str, str]]:
        """The command line of a run, and its environment."""
        files = ["config/demo.yaml", "overlay.yaml", *overlays]
        command = [
            *self.before,
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            f"profiles/{profile}",
            "--configfile",
            *files,
            *([] if "--" in arguments else ["--"]),
            *arguments,
        ]
        own = {"MINDGAUGE_STORE": str(self.store), "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **own, **self.environment}
        environment.pop("PYTHONPATH", None)
        return command, environment

    def start(
        self,
        *arguments: str,
        profile: str = "demo",
        overlays: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Starts Snakemake; what it prints is to be read from `stdout`."""
        command, of_all = self.call(*arguments, profile=profile, overlays=overlays)
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**of_all, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def snakemake(self, *arguments: str, check: bool = True, **options: Any) -> str:
        """Runs Snakemake; returns what it printed. Raises AssertionError if it failed and should not. Options as of `start`."""
        process = self.start(*arguments, **options)
        said = process.communicate()[0]
        if check:
            assert process.returncode == 0, said[-4000:]
        self.status = process.returncode
        return said

    def ran(self, *arguments: str, **options: Any) -> list[str]:
        """The rules whose jobs a run finished, the target's own left out."""
        said = self.snakemake(*(arguments or ("all",)), **options)
        return sorted(set(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", said)) - {"all"})

    def would_run(self, *arguments: str, **options: Any) -> dict[str, int]:
        """The jobs of a dry run by rule."""
        said = self.snakemake("-n", "--", *(arguments or ("all",)), **options)
        table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", said, re.DOTALL)
        found = dict(line.split() for line in table[1].splitlines()) if table else {}
        return {rule: int(count) for rule, count in found.items() if rule not in ("all", "train")}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces a text in a file of the clone. Raises AssertionError if it is not there."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
