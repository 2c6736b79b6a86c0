"""Every command that a document shows is run, or checked, or named here with the reason why it cannot be."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import documents
import pytest
import yaml
from clone import Clone
from conftest import ROOT

from mindgauge.config import Settings, overlaid

# Run as they stand, with what is added so that they write nothing.
RUN = {
    ("make", "help"): (),
    ("python", "workflow/scripts/document_config.py"): ("--check",),
    ("python", "tests/benchmarks/identities.py"): (),
}
# Cannot run here, with the reason.
ELSEWHERE = {
    "llama-server": "built from llama.cpp; tests/labelling/test_bundle_served.py runs one where it is",
    "llama-bench": "built from llama.cpp",
    "~/llama.cpp/build/bin/llama-completion": "on a phone",
    "ollama": "needs Ollama",
    "llamafactory-cli": "needs LLaMA-Factory",
    "pip": "in an environment of another program",
    "jq": "in front of a server that is not here",
    "curl": "asks a server that is not here",
    "pkg": "in Termux, on a phone",
    "cmake": "builds llama.cpp on a phone",
    "git": "fetches llama.cpp over the network",
    "tmux": "a terminal",
    "sbatch": "needs a SLURM cluster",
    "scancel": "needs a SLURM cluster",
    "squeue": "needs a SLURM cluster",
    "scontrol": "needs a SLURM cluster",
    "rocrate-validator": "in an environment of its own; tests/trail/test_crate_is_valid.py makes one and asks it",
    "tensorboard": "serves until it is stopped",
    "apptainer": "builds an image over the network",
    "ln": "links a group's environment into a clone",
    "rm": "removes results",
    "cp": "copies results",
    **dict.fromkeys(("cd", "source", "cat", "printf"), "of the shell, nothing of ours"),
}
# Parses the arguments of each command as the program itself does, and stops there; all in one process, since most of the time
# goes into imports. Prints what is wrong, by the command's number.
PARSE = """
import argparse, contextlib, io, json, runpy, sys
parse = argparse.ArgumentParser.parse_known_args
def stop(self, *arguments, **named):
    sys.exit(parse(self, *arguments, **named)[1] or 0)
argparse.ArgumentParser.parse_known_args = stop
wrong = {}
for number, words in enumerate(json.load(sys.stdin)):
    sys.argv = words
    said, status = io.StringIO(), "it does not parse its arguments"
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as end:
            status = end.code
        except Exception as error:
            status = repr(error)
    if status != 0:
        wrong[number] = f"{status} {said.getvalue()[-200:]}"
print(json.dumps(wrong))
"""
COMMANDS = documents.commands()


def of(program: str) -> list[documents.Command]:
    return [command for command in COMMANDS if command.words[0] == program]


def test_every_command_is_in_a_class():
    known = {"make", "snakemake", "python", "pytest", *ELSEWHERE}
    assert not [str(command) for command in COMMANDS if command.words[0] not in known]
    assert len(COMMANDS) > 50


def test_no_reason_is_given_for_nothing():
    used = {command.words[0] for command in COMMANDS}
    assert set(ELSEWHERE) <= used, f"in no document: {sorted(set(ELSEWHERE) - used)}"


def test_make_targets_are_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    wrong = []
    for command in of("make"):
        for word in command.words[1:]:
            name, assigned, _ = word.partition("=")
            if (f"$({name})" not in makefile) if assigned else word not in targets:
                wrong.append(f"{command}: {word}")
    assert not wrong


@pytest.mark.parametrize("words", RUN, ids=" ".join)
def test_cheap_commands_run(words):
    assert any(command.words[: len(words)] == words for command in COMMANDS), "no document has it any more"
    program = [sys.executable] if words[0] == "python" else [words[0]]
    done = subprocess.run(
        [*program, *words[1:], *RUN[words]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "workflow/scripts"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_programs_take_the_arguments_shown():
    asked = {command.words[1:]: command for command in of("python") if command.words[:2] not in RUN}
    for words in [words for words in asked if words[0] == "-c"]:
        compile(words[1], str(asked.pop(words)), "exec")
    assert not [str(command) for words, command in asked.items() if not (ROOT / words[0]).is_file()]
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps(list(asked)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "workflow/scripts"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    commands = list(asked.values())
    assert not [f"{commands[int(number)]}: {said}" for number, said in json.loads(done.stdout).items()]


def test_pytest_is_given_files_that_exist():
    for command in of("pytest"):
        assert all((ROOT / word).is_file() for word in command.words if word.endswith(".py")), str(command)


def test_the_driver_is_sound():
    driver = ROOT / "profiles/slurm/driver.sh"
    assert subprocess.run(["bash", "-n", driver]).returncode == 0
    last = driver.read_text().splitlines()[-1]
    # Without exec the signal before the time limit would reach the shell alone.
    assert (
        last.startswith("exec snakemake --profile profiles/slurm") and "#SBATCH --signal=B:INT@" in driver.read_text()
    )


def stanzas() -> dict[str, object]:
    """The stanzas of models that a document adds."""
    found: dict[str, object] = {}
    for block in documents.parts("docs/adding-a-model.md")[1]:
        if block.language == "yaml":
            found |= {name: of for name, of in yaml.safe_load(block.text).items() if "family" in of}
    return found


def test_snakemake_knows_the_options_and_targets_shown(tmp_path, monkeypatch):
    """A dry run on the demo's configuration of every command, those of one profile together; apart only to find the wrong one."""
    from snakemake.cli import parse_args

    models = tmp_path / "tiny"
    for name in ("tiny-qwen2", "tiny-llama"):
        (models / name).mkdir(parents=True)
        (models / name / "config.json").write_text("{}")
    clone = Clone.new(tmp_path / "clone", tmp_path / "store", models)
    (clone.root / "stanzas.yaml").write_text(yaml.safe_dump({"extra_models": stanzas()}))
    monkeypatch.chdir(clone.root)
    shown: dict[str, list[tuple[documents.Command, list[str]]]] = {}
    for command in of("snakemake"):
        try:
            _, arguments = parse_args([*command.words[1:]])
        except SystemExit:
            pytest.fail(f"{command}: an option that Snakemake does not know")
        targets = [str(target) for target in arguments.targets or []]
        assert all(file.suffix == ".yaml" for file in arguments.configfile or []), (
            f"{command}: a target taken for a configfile"
        )
        for profile in arguments.profile or []:
            assert (ROOT / profile / "config.yaml").is_file(), str(command)
            shown.setdefault(Path(profile).name, []).append((command, targets))
    for profile, pairs in shown.items():
        wanted = sorted({target for _, targets in pairs for target in targets})

        def dry(targets: list[str], profile: str = profile) -> str:
            said = clone.snakemake(
                "--dry-run", "--quiet", "all", "--", *targets, profile=profile, overlays=("stanzas.yaml",), check=False
            )
            return "" if clone.status == 0 else said[-400:]

        if wanted and dry(wanted):
            assert not [f"{command}: {said}" for command, targets in pairs if targets and (said := dry(targets))]


def overlays() -> Iterator[tuple[str, str]]:
    """The blocks of YAML that are overlays of the configuration; alternatives, each a line of its own, apart."""
    for path in documents.documents():
        for block in documents.parts(path)[1]:
            if block.language != "yaml" or path == "docs/adding-a-model.md":
                continue
            keys = re.findall(r"^\w+(?=:)", block.text, re.MULTILINE)
            texts = [block.text] if len(keys) == len(set(keys)) else block.text.splitlines()
            yield from ((f"{path}:{block.line}", text) for text in texts if text.strip())


@pytest.mark.parametrize(("where", "text"), list(overlays()))
def test_overlays_shown_are_valid(where, text, tmp_path, in_root):
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    Settings(overlaid([tmp_path / "my.yaml"]))


def test_stanzas_shown_are_valid(tmp_path, in_root):
    assert stanzas()
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"extra_models": stanzas()}))
    Settings(overlaid([tmp_path / "my.yaml"]))


@pytest.fixture
def after_demo(first, tmp_path, monkeypatch):
    """A directory in which what the documents show after `make demo` can be typed."""
    for name in ("workflow", "config", "data", "envs", "pyproject.toml", "build", "results"):
        (tmp_path / name).symlink_to(first.root / name)
    monkeypatch.setenv("MINDGAUGE_STORE", str(first.store))
    (tmp_path / "what_was_said.txt").write_text("最近总是睡不着，担心考试。", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(
        '{"id": "a", "text": "睡不着。"}\n{"id": "b", "text": "很开心。"}\n', encoding="utf-8"
    )
    return tmp_path


def typed(text: str, directory: Path) -> str:
    """What a shell prints of some lines."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], cwd=directory, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_bundle_is_asked_as_the_usage_shows(after_demo):
    (block,) = [block for block in documents.parts("docs/usage.md")[1] if "--jsonl" in block.text]
    lines = block.text.splitlines()
    bundle, once, explained, rows, served, asked = lines
    printed = [typed(f"{bundle}\n{line}", after_demo) for line in (once, explained)]
    assert set(json.loads(printed[0])) == {
        "depression_level",
        "anxiety_level",
        "risk_flag",
        "student_distress_score",
    }
    assert "probabilities" in json.loads(printed[1])
    typed(f"{bundle}\n{rows}", after_demo)
    answers = [json.loads(line) for line in (after_demo / "answers.jsonl").read_text().splitlines()]
    assert [answer["id"] for answer in answers] == ["a", "b"] and all("labels" in answer for answer in answers)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    server = subprocess.Popen(
        ["bash", "-c", f"{bundle}\nexec {served.replace('8000', port)}"],
        cwd=after_demo,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.2)
        if subprocess.run(["which", "curl"], capture_output=True).returncode == 0:
            said = typed(asked.replace("8000", port).replace("curl ", "curl --noproxy '*' -s "), after_demo)
            assert "probabilities" in json.loads(said)
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.slow
def test_the_rest_that_needs_a_finished_demo(after_demo):
    shown = {command.words[1]: command.words for command in of("python") if command.words[0] == "python"}
    assert "workflow/scripts/relabel.py" in shown and "workflow/scripts/bench_gguf.py" in shown
    said = typed("python workflow/scripts/relabel.py --sample 50 --configfile config/demo.yaml", after_demo)
    assert "50 of 50 answers are the same" in said
    gguf = "results/models/tiny-llama/gguf/tiny-llama-Q4_K_M.gguf"
    assert typed(f"python workflow/scripts/bench_gguf.py {gguf} --threads 1 --repetitions 1", after_demo)
