"""Base models: copied from a local directory or fetched from the hub, pinned by commit and sha256."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mindgauge import architecture
from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json, sha256_file, write_text

LOCK = Path("config/models.lock.yaml")
# Weights as safetensors, configuration and tokenizer; no other framework's weights, no code.
PATTERNS = ("*.safetensors", "*.json", "tokenizer*", "*.model", "*.txt", "LICENSE*", "*.jinja")

# Mistral's own form of the same weights.
LEFT_OUT = ("consolidated*",)
GATED = "accept the licence on the model's page, then HF_TOKEN=<a token of that account> in the environment"


def copy_local(source: Path, out: Path) -> None:
    """Copies a local model directory. Raises UserError if it is no transformers model, or cannot be
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
    check_vocabulary(source)
    for path in names:
        target = out / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def check_vocabulary(source: Path) -> None:
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


@dataclass(frozen=True)
class Fetched:
    """What was fetched: its directory, its commit, and the sha256 of its large files as the hub tells them."""

    directory: Path
    commit: str
    told: dict[str, str]


@dataclass(frozen=True)
class Seen:
    """What the hub tells of a model, with a directory of its small files (None if they are behind a gate)."""

    commit: str
    files: list[str]
    directory: Path | None
    parameters: int | None
    licence: str | None


def _refused(model: str, hub: str, error: OSError) -> UserError:
    """What an error of the hub means to a user."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    where = f"models.yaml: {model}.hub"
    if isinstance(error, GatedRepoError):
        return UserError(f"{hub} is behind a licence that this account has not accepted", where=where, instead=GATED)
    if isinstance(error, RepositoryNotFoundError):
        instead = "the id as its page has it; HF_TOKEN in the environment for one that is private"
        return UserError(f"the hub has no model {hub}, or does not show it", where=where, instead=instead)
    return UserError(
        f"{hub} could not be fetched ({type(error).__name__})",
        where=where,
        instead="run this on a host with a network (files that came whole are kept); HF_ENDPOINT names a mirror, HF_TOKEN a token for gated models; or set path: to a local copy",
    )


def download(hub: str, revision: str | None) -> Fetched:
    """Fetches a model from the hub (HF_ENDPOINT names a mirror). Files that came whole before are not fetched again, and a connection
    that breaks is taken up where it broke; of a process that was killed the file under way begins anew (huggingface_hub#4228)."""
    from huggingface_hub import HfApi, snapshot_download

    commit, told = revision, {}
    if commit is None:
        info = HfApi().model_info(hub, files_metadata=True)
        commit = str(info.sha)
        told = {of.rfilename: of.lfs.sha256 for of in info.siblings or [] if of.lfs}
    path = snapshot_download(hub, revision=commit, allow_patterns=list(PATTERNS), ignore_patterns=list(LEFT_OUT))
    return Fetched(Path(path), commit, told)


def look(model: str, hub: str, revision: str | None) -> Seen:
    """What can be said of a model without its weights. Raises UserError if the hub cannot be asked, or has no such model."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError

    directory = None
    try:
        info = HfApi().model_info(hub, revision=revision)
        patterns = [pattern for pattern in PATTERNS if "safetensors" not in pattern]
        with contextlib.suppress(GatedRepoError):
            directory = Path(snapshot_download(hub, revision=info.sha, allow_patterns=patterns))
    except OSError as error:
        raise _refused(model, hub, error) from None
    return Seen(
        str(info.sha),
        [of.rfilename for of in info.siblings or []],
        directory,
        info.safetensors.total if info.safetensors else None,
        info.card_data.license if info.card_data and isinstance(info.card_data.license, str) else None,
    )


def fetch(
    model: str,
    hub: str,
    locked: dict[str, Any] | None,
    out: Path,
    downloader: Callable[[str, str | None], Fetched] = download,
) -> dict[str, Any]:
    """Fetches `hub` at the locked commit, or at its newest where there is no lock yet; returns the lock entry
    {hub, revision, files: {name: sha256}}. Raises UserError if a file's sha256 is not the locked one (before there is a lock: not the
    one the hub tells), or nothing can be fetched."""
    if locked and locked.get("hub") != hub:
        raise UserError(
            f"the lock is of another model ({locked.get('hub')})",
            where=f"{LOCK}: {model}",
            instead=f"remove the entry of {model} to resolve {hub} anew",
        )
    try:
        fetched = downloader(hub, locked["revision"] if locked else None)
    except OSError as error:
        raise _refused(model, hub, error) from None
    copy_local(fetched.directory, out)
    files = {file.relative_to(out).as_posix(): sha256_file(file) for file in files_below(out)}
    if locked:
        differing = sorted(name for name in {*files, *locked["files"]} if files.get(name) != locked["files"].get(name))
        if differing:
            raise UserError(
                f"{differing[0]} is not the file that was locked",
                where=f"{LOCK}: {model}",
                instead="check where it was fetched from; remove the entry to accept the new files",
            )
    damaged = sorted(name for name, told in fetched.told.items() if files.get(name, told) != told)
    if damaged:
        raise UserError(
            f"{damaged[0]} is not the file that the hub tells of",
            where=f"models.yaml: {model}.hub",
            instead=f"remove {fetched.directory} and fetch it again; a mirror may have changed it",
        )
    print(f"{model}: {hub} at commit {fetched.commit}, {len(files)} files", file=sys.stderr)
    return {"hub": hub, "revision": fetched.commit, "files": files}


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


def base(
    model: str, hub: str | None, locked: dict[str, Any] | None, raw: Path | None, out: Path
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Makes the base entry of a model, from `raw` or from the hub; returns the facts of it that its memory follows from, and what is
    locked of it now (None of a local directory)."""
    # A commit already fetched is read from the hub's own cache; HF_HUB_OFFLINE=1 forbids the network.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if raw is not None:
        copy_local(raw, out)
    else:
        entry = fetch(model, str(hub), locked, out)
        if not locked:
            write_lock(model, entry)
        locked = entry
    return architecture.facts(out), locked
