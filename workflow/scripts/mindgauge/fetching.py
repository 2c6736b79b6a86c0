"""Base models: copied from a local directory or fetched from the hub, pinned by commit and sha256."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json, sha256_file, write_text

LOCK = Path("config/models.lock.yaml")
# Weights as safetensors, configuration and tokenizer; no other framework's weights, no code.
PATTERNS = ("*.safetensors", "*.json", "tokenizer*", "*.model", "*.txt", "LICENSE*", "*.jinja")

# Mistral's own form of the same weights.
LEFT_OUT = ("consolidated*",)


def copy_local(source: Path, out: Path) -> None:
    """Copies a local model directory, hard links where possible. Raises UserError if it is no transformers model, or cannot be
    converted for want of tokenizer.model."""
    names = [
        path for path in files_below(source) if any(map(path.match, PATTERNS)) and not any(map(path.match, LEFT_OUT))
    ]
    if not (source / "config.json").is_file() or not any(path.suffix == ".safetensors" for path in names):
        raise UserError(
            "this directory holds no transformers model",
            where=str(source),
            instead="a directory with config.json and *.safetensors (for the demo: make demo makes them)",
        )
    _check_vocabulary(source)
    for path in names:
        target = out / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _check_vocabulary(source: Path) -> None:
    """Raises UserError if a vocabulary of SentencePiece's lacks its own file: llama.cpp's converter refuses it then (Gemma), or
    takes its pieces without their scores (Mistral), and cuts some texts otherwise than transformers does."""
    vocabulary = source / "tokenizer.json"
    if not vocabulary.is_file() or (source / "tokenizer.model").is_file():
        return
    if read_json(vocabulary)["model"].get("byte_fallback"):
        raise UserError(
            "tokenizer.model is missing, without which this vocabulary cannot be converted to GGUF",
            where=str(source),
            instead="the base with tokenizer.model, as it was published, beside tokenizer.json",
        )


def download(hub: str, revision: str | None) -> tuple[Path, str]:
    """Fetches a model from the hub (HF_ENDPOINT names a mirror); returns its directory and commit."""
    from huggingface_hub import HfApi, snapshot_download

    commit = revision or HfApi().model_info(hub).sha
    path = snapshot_download(hub, revision=commit, allow_patterns=list(PATTERNS), ignore_patterns=list(LEFT_OUT))
    return Path(path), str(commit)


def fetch(
    model: str,
    hub: str,
    locked: dict[str, Any] | None,
    out: Path,
    downloader: Callable[[str, str | None], tuple[Path, str]] = download,
) -> dict[str, Any]:
    """Fetches `hub` at the locked commit, or at its newest where there is no lock yet; returns the lock entry
    {hub, revision, files: {name: sha256}}. Raises UserError if a file's sha256 is not the locked one, or nothing can be fetched."""
    if locked and locked.get("hub") != hub:
        raise UserError(
            f"the lock is of another model ({locked.get('hub')})",
            where=f"{LOCK}: {model}",
            instead=f"remove the entry of {model} to resolve {hub} anew",
        )
    try:
        path, commit = downloader(hub, locked["revision"] if locked else None)
    except OSError as error:
        raise UserError(
            f"{hub} could not be fetched ({type(error).__name__})",
            where=f"models.yaml: {model}.hub",
            instead="run this on a host with a network; HF_ENDPOINT names a mirror, HF_TOKEN a token for gated models; or set path: to a local copy",
        ) from None
    copy_local(path, out)
    files = {file.relative_to(out).as_posix(): sha256_file(file) for file in files_below(out)}
    if locked:
        differing = sorted(name for name in {*files, *locked["files"]} if files.get(name) != locked["files"].get(name))
        if differing:
            raise UserError(
                f"{differing[0]} is not the file that was locked",
                where=f"{LOCK}: {model}",
                instead="check where it was fetched from; remove the entry to accept the new files",
            )
    print(f"{model}: {hub} at commit {commit}, {len(files)} files", file=sys.stderr)
    return {"hub": hub, "revision": commit, "files": files}


def write_lock(model: str, entry: dict[str, Any], path: Path = LOCK) -> None:
    """Adds a lock entry, unless the model has one."""
    held = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}
    if model not in held:
        held[model] = entry
        write_text(
            path,
            "# Written when a base model is first fetched, obeyed from then on. Commit it.\n"
            + yaml.safe_dump(held, sort_keys=True),
        )


def base(model: str, hub: str | None, locked: dict[str, Any] | None, raw: Path | None, out: Path) -> None:
    """Makes the base entry of a model, from `raw` or from the hub."""
    # A commit already fetched is read from the hub's own cache; HF_HUB_OFFLINE=1 forbids the network.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if raw is not None:
        copy_local(raw, out)
    else:
        entry = fetch(model, str(hub), locked, out)
        if not locked:
            write_lock(model, entry)
