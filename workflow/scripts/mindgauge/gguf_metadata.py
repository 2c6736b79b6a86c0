"""What a GGUF says of itself in its key-values (format: ggml, docs/gguf.md, general metadata): name, licence, base model, sources, and
under `mindgauge.` what an app or a reviewer that holds the file alone needs. Weights are known by their tensors' hashes, not by these."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindgauge.files import read_jsonl, sha256_file
from mindgauge.licences import notices

HUB = "https://huggingface.co"


def _base(base: str, revision: str | None) -> dict[str, str]:
    """A hub id, or the name of a local directory, as the converter wants it."""
    organisation, slash, name = base.rpartition("/")
    found = {"name": name, "organization": organisation, "version": revision, "repo_url": slash and f"{HUB}/{base}"}
    return {key: value for key, value in found.items() if value}


def described(
    model: str, sft: Path, *, licence: str, base: str, revision: str | None, sources: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What llama.cpp's converter reads (`--metadata`), and further key-values for which it has no place, of a model trained on
    train.jsonl and val.jsonl in `sft`. `base`: its hub id, or the name of its directory; `sources`: name -> licence, notice,
    redistribute.

    Of the licence only the base's name is given: what the trained model may be used for hangs on its sources too, whose terms the
    notices tell.
    """
    files = {name: sft / f"{name}.jsonl" for name in ("train", "val")}
    prompt, trained_on = "", set()
    for file in files.values():
        for row in read_jsonl(file):
            prompt = prompt or row["instruction"]
            trained_on.add(row["source"])
    used = {name: sources[name] for name in sources if name in trained_on}
    official = {
        "general.name": model,
        "general.description": "Screens what a student says: one line of JSON with labels. A screening aid, not a diagnosis.",
        "general.languages": ["zh"],
        "general.tags": ["screening", "mental-health", "text-generation"],
        "general.license.name": licence,
        "general.base_models": [_base(base, revision)],
        "general.datasets": [
            {"name": name, "description": f"licence {source['licence']}"} for name, source in used.items()
        ],
    }
    further = {
        "general.license": "other",
        "mindgauge.version": version("mindgauge"),
        "mindgauge.prompt": prompt,
        "mindgauge.notices": notices(f"Base model: {base}, licence {licence}", used),
        **{f"mindgauge.data.{name}_sha256": sha256_file(file) for name, file in files.items()},
    }
    return official, further
