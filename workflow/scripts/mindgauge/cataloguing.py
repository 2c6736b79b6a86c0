"""The catalogue: every view with the file it shows, and every entry behind them with all that decided it."""

from pathlib import Path
from typing import Any

from mindgauge.files import read_json, write_json
from mindgauge.hashing import digest
from mindgauge.shareable import brief, without_places

CONTENT = "content:"


def _inputs(identities: list[str], entries: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What is known of inputs: the entry and the hash of all its files; of one that counts by content, the hash that counts."""
    found = []
    for identity in identities:
        if identity.startswith(CONTENT):
            found.append({"sha256": identity.removeprefix(CONTENT)})
        else:
            manifest = entries[identity]
            found.append({"entry": manifest["where"], "sha256": manifest["content"]})
    return found


def catalogue(entries: list[Path], behind: list[Path], out: Path, views: list[dict[str, Any]]) -> None:
    """Writes catalogue.json. Two runs are the same if their manifests are: it holds neither dates nor absolute paths, and as it may
    leave the machine no text. `entries` are those of the views, one each; `behind` those that are shown by none."""
    manifests = [read_json(entry / "manifest.json") for entry in entries]
    by_key = {
        manifest["where"].rpartition("/")[2]: manifest
        for manifest in [*manifests, *(read_json(entry / "manifest.json") for entry in behind)]
    }
    shown = {}
    for manifest, view in zip(manifests, views, strict=True):
        step, *_, key = manifest["where"].split("/")
        shown[view["view"]] = {
            "entry": manifest["where"],
            "key": key,
            "step": step,
            "file": view["file"],
            **manifest["files"][view["file"]],
        }
    made = {}
    for manifest in by_key.values():
        recipe = manifest["recipe"]
        step = recipe["step"]
        made[manifest["where"]] = {
            "rule": step if step.startswith("make_") else f"make_{step}",
            "code": recipe["code"],
            "packages": digest(recipe["packages"]),
            "params": brief(without_places(recipe["params"])),
            "inputs": {name: _inputs([identity], by_key)[0] for name, identity in recipe["inputs"].items()},
            "lists": {name: _inputs(identities, by_key) for name, identities in recipe["lists"].items()},
            "files": manifest["files"],
            "sha256": manifest["content"],
        }
    write_json(out / "catalogue.json", {"views": shown, "entries": made})
