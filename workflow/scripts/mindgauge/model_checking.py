"""What is missing or wrong of a model, before any GPU is asked for: its stanza, template, base, tokenizer, architecture and memory.

Of a base that is not here yet the hub is asked, and the small files (configuration and tokenizer) are fetched into its cache.
"""

import ast
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgauge import architecture, converting, fetching, footprint
from mindgauge.answers import all_answers
from mindgauge.architecture import Architecture
from mindgauge.bundling import OLLAMA
from mindgauge.chat import END_TOKENS, Chat
from mindgauge.config import Model, Settings
from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json
from mindgauge.findings import Finding, failure, ok, refused, warning
from mindgauge.hf_to_gguf import pre_tokenizer
from mindgauge.plan import Plan, gate_file

ROW = "最近总是睡不着，上课也听不进去。"


@dataclass
class Base:
    """What is known of a base: the names of its files, a directory with its small ones (None if they cannot be had), whether that
    holds the weights too, its number of parameters, and its licence by the hub."""

    where: str
    files: list[str]
    directory: Path | None
    whole: bool
    parameters: int | None = None
    licence: str | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.directory is not None and (self.directory / "config.json").is_file():
            self.config = read_json(self.directory / "config.json")


def architectures() -> frozenset[str]:
    """The architectures of text models that the vendored converter of llama.cpp knows (TEXT_MODEL_MAP of conversion/__init__.py).
    Raises UserError if its sources are not kept."""
    with tarfile.open(converting.sdist()) as archive:
        for member in archive:
            if member.name.endswith("vendor/llama.cpp/conversion/__init__.py"):
                file = archive.extractfile(member)
                assert file is not None
                for node in ast.parse(file.read()).body:
                    if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "TEXT_MODEL_MAP":
                        return frozenset(ast.literal_eval(node.value))  # type: ignore[arg-type]
    raise UserError("llama.cpp's converter has no list of models", where=str(converting.sdist()), instead="make setup")


def rendered(family: str) -> str:
    """The path of the template of a family. Raises UserError if it is not there, does not parse, or does not put the answer and the
    end token right after the generation prompt."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    path = Path(f"config/templates/{family}.jinja")
    fault = {"where": str(path), "instead": "a template as those beside it; docs/adding-a-model.md"}
    if not path.is_file():
        raise UserError("the family has no template", **fault)
    user, answer = {"role": "user", "content": "问\n句"}, {"role": "assistant", "content": "{}"}
    try:
        made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(path.read_text("utf-8"))
        options = {"bos_token": "<bos>", "raise_exception": str}
        whole = made.render(messages=[user, answer], add_generation_prompt=False, **options)
        prompt = made.render(messages=[user], add_generation_prompt=True, **options)
    except TemplateError as error:
        raise UserError(f"the template cannot be rendered ({type(error).__name__})", **fault) from None
    if "问\n句" not in prompt or whole != f"{prompt}{{}}{END_TOKENS[family]}":
        raise UserError("the template does not put the answer and its end token after the generation prompt", **fault)
    return str(path)


def _stanza(name: str, stanza: Model) -> list[Finding]:
    found = [ok("stanza", f"valid: {stanza.hub or stanza.path}, family {stanza.family}")]
    if stanza.licence.strip().lower() in ("", "unknown", "none"):
        said = f"the licence of {name} is {stanza.licence!r}, and it travels with everything made of the model"
        found.append(failure("licence", said, "licence: as the base's page names it"))
    try:
        found.append(ok("template", f"{rendered(stanza.family)} renders"))
    except UserError as error:
        found.append(refused("template", error))
    if stanza.family not in OLLAMA:
        found.append(failure("template", "no Ollama form", "an entry in OLLAMA of bundling.py"))
    return found


def _fetched(name: str, plan: Plan) -> Path | None:
    """The directory of a base in the store, if its gate was made and it is there."""
    gate = Path(gate_file(f"base/{name}"))
    if not gate.is_file():
        return None
    where = read_json(gate)["where"]
    return plan.store.path(where) if plan.store.has(where) else None


def _base(name: str, stanza: Model, locked: dict[str, Any] | None, plan: Plan) -> Base:
    """The base, wherever it is. Raises UserError if it is nowhere."""
    directory = Path(stanza.path) if stanza.path else _fetched(name, plan)
    if directory is not None:
        if not (directory / "config.json").is_file():
            raise UserError(
                "there is no model", where=str(directory), instead="a directory with config.json and *.safetensors"
            )
        where = str(directory) if stanza.path else "fetched, in the store"
        files = [path.relative_to(directory).as_posix() for path in files_below(directory)]
        return Base(where, files, directory, whole=True, parameters=architecture.parameters(directory))
    hub = str(stanza.hub)
    seen = fetching.look(name, hub, locked["revision"] if locked else None)
    pinned = "pinned" if locked else "the newest; the first fetch pins it"
    return Base(
        f"{hub} at {seen.commit[:12]} ({pinned})", seen.files, seen.directory, False, seen.parameters, seen.licence
    )


def _files(base: Base) -> list[Finding]:
    found = []
    if not any(name.endswith(".safetensors") for name in base.files):
        found.append(failure("weights", "no *.safetensors", "a base that is published so; nothing else is loaded"))
    elif base.whole:
        converting.whole(base.directory)  # type: ignore[arg-type]
        found.append(ok("weights", f"safetensors, {base.parameters:,} parameters"))
    else:
        found.append(ok("weights", "safetensors; whether they are whole and unchanged is seen when they are fetched"))
    if base.config.get("quantization_config"):
        said = "the base is quantised; adapters are merged into full precision only"
        found.append(failure("precision", said, "the base as it was before; load_in_4bit quantises it here"))
    return found


def _code(base: Base) -> Finding:
    named = base.config.get("auto_map")
    code = sorted(name for name in base.files if name.endswith(".py"))
    if named:
        said = "config.json names code of its own (auto_map), which is neither fetched nor run"
        return failure("remote code", said, "a base of an architecture that transformers has itself")
    if code:
        said = f"{', '.join(code)} beside the weights"
        return warning("remote code", said, "nothing: it is neither fetched nor run")
    return ok("remote code", "none")


def _architecture(base: Base) -> list[Finding]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    names, kind = base.config.get("architectures") or [], base.config.get("model_type")
    name = names[0] if names else "none"
    found = []
    if MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(str(kind)) is None:
        said = f"transformers knows no causal model of the type {kind!r}"
        found.append(failure("architecture", said, "another base, or a newer transformers in pyproject.toml"))
    if name not in architectures():
        said = f"llama.cpp's converter does not know {name}"
        found.append(failure("conversion", said, "another base, or a newer llama-cpp-python"))
    return found or [ok("architecture", f"{name}, known to transformers and to llama.cpp's converter")]


def _tokenizer(base: Base, settings: Settings, stanza: Model) -> list[Finding]:
    """Loads it as training does, and puts a row through the family's template."""
    directory = base.directory
    assert directory is not None
    if not any((directory / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        files = "neither tokenizer.json nor tokenizer.model"
        return [failure("tokenizer", files, "the base with its tokenizer, as it was published")]
    try:
        fetching.check_vocabulary(directory)
        chat = Chat.load(directory, Path(f"config/templates/{stanza.family}.jinja").read_text("utf-8"), stanza.family)
        row = {"instruction": settings.instruction, "input": ROW, "output": next(iter(all_answers(settings.scheme)))}
        example = chat.example(row, stanza.context)
    except UserError as error:
        return [refused("tokenizer", error)]
    except (ValueError, OSError, KeyError) as error:
        said = f"it cannot be used: {type(error).__name__}"
        told = str(error) if isinstance(error, ValueError) else ""
        return [failure("tokenizer", f"{said} {told}".strip(), "the family of this base, or its own tokenizer")]
    if example.shortened:
        return [failure("context", "the instruction leaves no room for a text", "a larger context")]
    said = f"{type(chat.tokenizer).__name__}; ends with {chat.end}; the instruction and a sentence take {len(example.prompt)} tokens"
    found = [ok("tokenizer", said)]
    vocabulary = directory / "tokenizer.json"
    if vocabulary.is_file():
        model = read_json(vocabulary)["model"]
        if not model.get("byte_fallback") and pre_tokenizer(vocabulary) is None:
            said = "its split pattern is none that is matched here: conversion refuses it unless llama.cpp knows this very vocabulary"
            found.append(warning("conversion", said, "convert the base once, before training"))
    return found


def _context(base: Base, stanza: Model) -> Finding:
    most = (base.config.get("text_config") or base.config).get("max_position_embeddings")
    if most and stanza.context > most:
        return failure("context", f"{stanza.context} is more than the {most} of the base", f"context: {most}")
    return ok("context", f"{stanza.context} of {most or 'unknown'}")


def _memory(name: str, base: Base, settings: Settings, stanza: Model) -> Finding:
    of = Architecture.read(base.config, base.parameters or 0)
    if of is None:
        said = "no estimate: an unusual architecture, or its parameters are not told"
        return warning(
            "memory", said, "check again when the base is fetched; else run.json of a training tells what it took"
        )
    rows, known = footprint.Rows(stanza.context), Path(gate_file("sft"))
    facts = read_json(known)["facts"] if known.is_file() else {}
    if "longest_row" in facts and base.directory is not None:
        density = architecture.tokens_a_character(base.directory)
        rows = footprint.Rows.of(facts["longest_row"], len(settings.instruction), density, stanza.context)
    numbers, memory = settings.train(next(iter(settings.seeded.get(name, [name])))), settings.config.site.gpu_memory_gib
    found = footprint.least(of, numbers, rows)
    said = f"about {found} for {numbers['batch_size']} rows of up to {rows.length} tokens"
    if memory is None:
        return ok("memory", f"{said}; with site.gpu_memory_gib in the config it is held against your GPU")
    try:
        wrong, instead = footprint.check(name, of, numbers, rows, memory)
    except UserError as error:
        return refused("memory", error)
    if wrong:
        return warning("memory", wrong, instead)
    return ok("memory", f"{said}; the GPU has {memory:g} GiB")


def _licence(base: Base, stanza: Model) -> Finding:
    def plain(text: str) -> str:
        return "".join(letter for letter in text.lower() if letter.isalnum())

    told = base.licence
    if told and plain(told) not in plain(stanza.licence) and plain(stanza.licence) not in plain(told):
        said = f"the stanza says {stanza.licence!r}, the hub {told!r}"
        return warning("licence", said, "licence: as the base's page names it")
    return ok("licence", stanza.licence)


def check(name: str, settings: Settings) -> list[Finding]:
    """Everything that can be told of a model now. Raises UserError if it has no stanza."""
    stanza = settings.model(name)
    plan = Plan(settings, lambda gate, fact: read_json(Path(gate_file(gate))), main=False)
    found = _stanza(name, stanza)
    try:
        base = _base(name, stanza, plan.locked(name), plan)
    except UserError as error:
        return [*found, refused("base", error)]
    found += [ok("base", base.where), _licence(base, stanza)]

    def look(what: str, of: Callable[[], Finding | list[Finding]]) -> None:
        try:
            more = of()
        except UserError as error:
            more = refused(what, error)
        found.extend(more if isinstance(more, list) else [more])

    look("weights", lambda: _files(base))
    if base.directory is None:
        said = "its configuration and tokenizer can be looked at only with a token"
        return [*found, warning("tokenizer", said, f"{fetching.GATED}; then check again")]
    look("remote code", lambda: _code(base))
    look("architecture", lambda: _architecture(base))
    if not any(one.about == "template" and one.state == "failure" for one in found):
        look("tokenizer", lambda: _tokenizer(base, settings, stanza))
    look("context", lambda: _context(base, stanza))
    look("memory", lambda: _memory(name, base, settings, stanza))
    return found
