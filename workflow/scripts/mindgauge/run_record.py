"""run.json: what a training was, from what, on what, and what it took."""

import hashlib
import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mindgauge import batches
from mindgauge.chat import Example
from mindgauge.code import code_hash
from mindgauge.files import files_below, read_json, sha256_file
from mindgauge.hashing import digest
from mindgauge.lock import LOCK, torch_build
from mindgauge.store import MANIFEST

PACKAGES = ("torch", "transformers", "tokenizers", "trl", "peft", "accelerate", "bitsandbytes", "safetensors")


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version(), "torch build": torch_build()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def base_identity(base: Path) -> dict[str, Any]:
    """`sha256`, one hash of all its files, and of one from the hub `hub` and `revision`."""
    if (base / MANIFEST).is_file():
        found = read_json(base / MANIFEST)
        params = found["recipe"]["params"]
        return {
            "sha256": found["content"],
            "hub": params["hub"],
            "revision": params["lock"] and params["lock"]["revision"],
        }
    files = {path.relative_to(base).as_posix(): sha256_file(path) for path in files_below(base)}
    return {"sha256": digest(files), "hub": None, "revision": None}


def device() -> dict[str, Any]:
    """`device`, its name or `cpu`; `device_memory_bytes`, `peak_memory_bytes` on it and `cuda` (None on a CPU); and
    `peak_resident_bytes`, the most that the process held in main memory."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name(0) if cuda else "cpu",
        "device_memory_bytes": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if cuda else None,
        "peak_resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "cuda": torch.version.cuda if cuda else None,
    }


def tokens(examples: list[Example], batch: int, packed: bool) -> dict[str, float]:
    """Mean tokens a row: `row`, its own length; `supervised`, its answer; `computed`, what is evaluated for it: less where a batch
    shares its beginning, more where rows are padded to the longest of all (an upper bound)."""
    lengths = [len(example.prompt) + len(example.completion) for example in examples]
    count = len(examples)
    if packed:
        rows = [example.prompt + example.completion for example in examples]
        prefix = batches.shared(rows, [len(example.prompt) for example in examples])
        computed = batches.computed(lengths, prefix) - prefix + prefix * count / batch
    else:
        computed = max(lengths) * count
    return {
        "row": round(sum(lengths) / count, 1),
        "supervised": round(sum(len(example.completion) for example in examples) / count, 1),
        "computed": round(computed / count, 1),
    }


def provenance(sft: Path, base: Path, template: str) -> dict[str, Any]:
    """What it was made from, by content: data, base, template, code and the lock."""
    return {
        "data": {name: sha256_file(sft / f"{name}.jsonl") for name in ("train", "val")},
        "base": base_identity(base),
        "template_sha256": hashlib.sha256(template.encode()).hexdigest(),
        "code": code_hash("train"),
        "lock_sha256": sha256_file(LOCK),
        "versions": _versions(),
    }
