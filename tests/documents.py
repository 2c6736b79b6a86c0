"""The repository's documents, taken apart: headings, links, fenced blocks, and the commands in them."""

import re
import shlex
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conftest import ROOT

READMES = ("README.md", "README.zh-CN.md")
PROGRAMS = {
    *("make", "snakemake", "python", "pytest", "pip", "bash", "rm", "cp", "git", "tmux", "kill", "curl"),
    *("sbatch", "scancel", "squeue", "scontrol", "sacct", "ollama", "llama-server", "llama-bench", "llama-completion"),
    *("rocrate-validator", "tensorboard", "apptainer", "ln"),
}
# Words before a command that are none of it, each with how many words of its own follow.
BEFORE = {"exec": 0, "nice": 2, "nohup": 0}
PLACEHOLDERS = {"model": "tiny-llama", "quant": "Q4_K_M", "variant": "Q4_K_M", "key": "0" * 20}
FENCE = re.compile(r" *```(\w*)")


@dataclass(frozen=True)
class Command:
    """A simple command of a document."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


@dataclass(frozen=True)
class Block:
    """A fenced block, with the number of its first line."""

    path: str
    line: int
    language: str
    text: str


def documents() -> list[str]:
    """The documents by their paths in the repository."""
    found = [*READMES, "data/README.md", "config/README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
    return [path for path in found if (ROOT / path).is_file()]


@cache
def parts(path: str) -> tuple[list[tuple[int, str]], list[Block]]:
    """The lines of prose of a document with their numbers, and its fenced blocks."""
    prose, blocks, inside = [], [], None
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if inside is None and fence:
            inside = (number + 1, fence[1], [])
        elif inside is not None and fence:
            blocks.append(Block(path, inside[0], inside[1], "\n".join(inside[2])))
            inside = None
        elif inside is not None:
            inside[2].append(line)
        else:
            prose.append((number, line))
    assert inside is None, f"{path}: a fence is not closed"
    return prose, blocks


def headings(path: str) -> list[tuple[int, str]]:
    """Level and text of each heading."""
    return [(len(found[1]), found[2]) for _, line in parts(path)[0] if (found := re.match(r"(#+) (.*)", line))]


def anchors(path: str) -> set[str]:
    """The anchors that GitHub gives the headings."""
    found: set[str] = set()
    for _, text in headings(path):
        text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", text).strip().lower()
        text = re.sub(r"&lt;|&gt;", "", text)
        kept = "".join(c for c in text if c in " -_" or unicodedata.category(c)[0] in "LNM")
        slug = kept.replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found


def links(path: str) -> list[tuple[int, str]]:
    """Line and target of each link and image."""
    return [
        (number, target)
        for number, line in parts(path)[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line))
    ]


def spans(path: str) -> list[tuple[int, str]]:
    """Line and text of each span of code."""
    return [(number, span) for number, line in parts(path)[0] for span in re.findall(r"`([^`]+)`", line)]


def _simple(text: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a line of shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for token in [*lexer, ";"]:
        if token and set(token) <= set("();<>|&"):
            redirected = token[0] in "<>"
            if not redirected and words:
                yield tuple(words)
                words = []
        elif not redirected:
            words.append(token)
        else:
            redirected = False


def _bare(words: tuple[str, ...]) -> tuple[str, ...]:
    """A command without assignments and without what stands before it."""
    while words and (re.match(r"\w+=", words[0]) or words[0] in BEFORE):
        words = words[1 + BEFORE.get(words[0], 0) :]
    return tuple(word for word in words if word != "…")


def _filled(text: str) -> str:
    """Text with its placeholders filled."""
    return re.sub(r"<(\w[\w ]*)>", lambda found: PLACEHOLDERS.get(found[1], "x"), text)


def block_commands(block: Block) -> Iterator[Command]:
    """The commands of a block of shell."""
    held = ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        if not held:
            first = number
        held += line
        if line.rstrip().endswith("\\"):
            held = held.rstrip()[:-1] + " "
            continue
        try:
            found = list(_simple(held))
        except ValueError:  # a quote is still open
            held += "\n"
            continue
        held = ""
        for words in found:
            if bare := _bare(words):
                yield Command(f"{block.path}:{first}", bare)
    assert not held, f"{block.path}:{first}: a command has no end"


def commands() -> list[Command]:
    """Every command of every document: fenced blocks of shell, and spans of code that begin with a program's name."""
    found: list[Command] = []
    for path in documents():
        for block in parts(path)[1]:
            if block.language in ("sh", "bash", "shell", "console"):
                found += block_commands(block)
        for number, span in spans(path):
            try:
                simple = list(_simple(_filled(span)))
            except ValueError:
                continue
            for words in simple:
                bare = _bare(words)
                if bare and re.fullmatch(r"(workflow/scripts/)?\w+\.py", bare[0]) and len(bare) > 1:
                    name = Path(bare[0]).name
                    options_alone = len(bare) == 2 and bare[1].startswith("-")  # a span that only names an option
                    if (ROOT / "workflow/scripts" / name).is_file() and not options_alone:
                        bare = ("python", f"workflow/scripts/{name}", *bare[1:])
                if len(bare) > 1 and bare[0] in PROGRAMS:
                    found.append(Command(f"{path}:{number}", bare))
    return found
