"""Which code and software made what the report shows, as the manifests of the entries tell."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgauge.files import read_json
from mindgauge.store import MANIFEST


def provenance(entries: Iterable[Path]) -> dict[str, Any]:
    """`steps`, one an entry: step, names, key, hash of its code and of its content; `packages`, the locked packages of all of them.
    An entry that was not made by the store (no manifest) is left out."""
    steps, packages = [], set()
    for entry in dict.fromkeys(entries):
        if not (entry / MANIFEST).is_file():
            continue
        manifest = read_json(entry / MANIFEST)
        recipe = manifest["recipe"]
        packages.update(recipe["packages"])
        steps.append(
            {
                "step": recipe["step"],
                "names": recipe["names"],
                "key": entry.name,
                "code": recipe["code"],
                "content": manifest["content"],
            }
        )
    return {"steps": steps, "packages": sorted(packages)}
