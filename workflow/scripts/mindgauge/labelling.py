"""Labels of all shards in one set, and the package with which anyone can check or repeat the labelling."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from mindgauge.answers import json_schema
from mindgauge.errors import UserError
from mindgauge.files import files_below, read_jsonl, sha256_file, write_json, write_jsonl, write_text
from mindgauge.labels import Scheme


def merge(
    entry: Path, shards: list[Path], out: Path, label: dict[str, Any], instruction: str, labels: dict[str, Any]
) -> None:
    """Writes dataset.jsonl ({id, labels, labeller, evidence}, in the order of the records), stats.json and repro_package/.

    Raises UserError unless every record has exactly one label.
    """
    scheme = Scheme.from_dict(labels)
    found: dict[str, dict[str, Any]] = {}
    for shard in shards:
        for row in read_jsonl(shard / "labels.jsonl"):
            if row["id"] in found:
                raise UserError(
                    f"the record {row['id']} is labelled twice",
                    where=str(shard),
                    instead="this is a defect of a labeller; please report it",
                )
            found[row["id"]] = row
    wanted = [row["id"] for row in read_jsonl(entry / "unified_min.jsonl")]
    if missing := [name for name in wanted if name not in found]:
        raise UserError(
            f"{len(missing)} records have no label, the first is {missing[0]}",
            where=str(out),
            instead="this is a defect of a labeller; please report it",
        )
    write_jsonl(
        out / "dataset.jsonl",
        (
            {
                "id": name,
                "labels": found[name]["labels"],
                "labeller": label["backend"],
                "evidence": found[name]["evidence"],
            }
            for name in wanted
        ),
    )
    counts = {field.name: Counter(str(found[name]["labels"][field.name]) for name in wanted) for field in scheme.fields}
    write_json(
        out / "stats.json",
        {
            "labelled": len(wanted),
            "labeller": label["backend"],
            "shards": len(shards),
            "fields": {name: dict(of) for name, of in counts.items()},
        },
    )
    package = out / "repro_package"
    write_text(package / "prompt.txt", instruction + "\n")
    write_json(package / "config.json", {"label": label, "labels": labels})
    write_json(package / "answer.schema.json", json_schema(scheme))
    recipes = [
        json.loads((shard / "manifest.json").read_text(encoding="utf-8"))
        for shard in shards
        if (shard / "manifest.json").is_file()
    ]
    write_json(
        package / "shards.json",
        [
            {"where": manifest["where"], "code": manifest["recipe"]["code"], "files": manifest["files"]}
            for manifest in recipes
        ],
    )
    lines = [f"{sha256_file(path)}  {path.relative_to(out).as_posix()}" for path in files_below(out)]
    write_text(package / "checksums.txt", "\n".join(lines) + "\n")
