"""The repro package of a labelling: all that decided it, and a way to check it by labelling a sample again."""

import hashlib
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgauge.answers import json_schema
from mindgauge.backends import BACKENDS
from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json, read_jsonl, sha256_file, write_json, write_jsonl, write_text
from mindgauge.labellers.common import Asked
from mindgauge.labels import Scheme
from mindgauge.progress import Progress
from mindgauge.records import read_records

README = """# How these labels were made
`config.json` names the labellers with their options, the sha256 of the model or label file each read, and the label scheme; `prompts/`
holds the instructions as they were sent; `shards.json` the code, files and counts of every labelling job; `labels.jsonl` each voter's
answers by record id, without text; `checksums.txt` the sha256 of all.

To label a sample again and compare (from the repository, with the same overlay as the run, if there was one):

    python workflow/scripts/relabel.py --package results/labels/repro_package --sample 50
"""


def write(
    out: Path,
    voters: dict[str, dict[str, Any]],
    shards: dict[str, list[Path]],
    rows: Iterable[dict[str, Any]],
    labels: Any,
) -> None:
    """Writes the package: README.md, config.json, prompts/, answer.schema.json, shards.json, labels.jsonl and checksums.txt.
    `rows` are {id, voter, labels}."""
    scheme = Scheme.from_dict(labels)
    plain = {
        name: {option: value for option, value in of.items() if option != "instruction"} for name, of in voters.items()
    }
    write_text(out / "README.md", README)
    write_json(out / "config.json", {"voters": plain, "labels": labels})
    for name, of in voters.items():
        if of["instruction"]:
            write_text(out / f"prompts/{name}.txt", of["instruction"] + "\n")
    write_json(out / "answer.schema.json", json_schema(scheme))
    jobs = []
    for name, entries in shards.items():
        for entry in entries:
            manifest = read_json(entry / "manifest.json") if (entry / "manifest.json").is_file() else None
            of = (
                {"where": manifest["where"], "code": manifest["recipe"]["code"], "files": manifest["files"]}
                if manifest
                else {}
            )
            jobs.append({"voter": name, "log": read_json(entry / "log.json"), **of})
    write_json(out / "shards.json", jobs)
    write_jsonl(out / "labels.jsonl", rows)
    lines = [f"{sha256_file(path)}  {path.relative_to(out).as_posix()}" for path in files_below(out)]
    write_text(out / "checksums.txt", "\n".join(lines) + "\n")


def sampled(names: Iterable[str], count: int) -> set[str]:
    """`count` of some ids, the same every time."""
    return set(sorted(names, key=lambda name: hashlib.sha256(f"relabel {name}".encode()).hexdigest())[:count])


def relabel(
    package: Path, data: Path, files: dict[str, Path], pace: dict[str, dict[str, Any]], count: int
) -> dict[str, Any]:
    """Labels a sample of the records of `data` (unified_min.jsonl and gold.jsonl) again with every voter of a package, and
    compares: voter -> {asked, same, differ: ids}. `files` holds the path of each voter's model or label file.

    Raises UserError for a package that was changed, a file with another sha256, or records that are not there.
    """
    for line in (package / "checksums.txt").read_text(encoding="utf-8").splitlines():
        expected, _, name = line.partition("  ")
        if not (package / name).is_file() or sha256_file(package / name) != expected:
            raise UserError(
                "the package was changed", where=str(package / name), instead="the package as it was written"
            )
    config = read_json(package / "config.json")
    scheme = Scheme.from_dict(config["labels"])
    held: dict[str, dict[str, Any]] = {}
    for row in read_jsonl(package / "labels.jsonl"):
        held.setdefault(row["voter"], {})[row["id"]] = row["labels"]
    chosen = sampled({name for of in held.values() for name in of}, count)
    asked = [
        Asked(str(record.id), record.words("client"))
        for name in ("unified_min.jsonl", "gold.jsonl")
        for record in read_records(data / name)
        if str(record.id) in chosen
    ]
    if len(asked) < len(chosen):
        raise UserError(
            f"{len(chosen) - len(asked)} of {len(chosen)} records of the sample are not in the data",
            where=str(data),
            instead="the data that were labelled",
        )
    found = {}
    for voter, of in config["voters"].items():
        backend = BACKENDS[of["backend"]]
        options: dict[str, Any] = {name: of[name] for name in backend.decide}
        if backend.prompted:
            options["instruction"] = (package / f"prompts/{voter}.txt").read_text(encoding="utf-8").rstrip("\n")
        if backend.reads:
            options["path"] = files[voter]
        module: Any = importlib.import_module(backend.module)
        options |= {name: value for name, value in pace.get(voter, {}).items() if name in module.PACE}
        answers = Progress(module.label(iter(asked), scheme, **options), total=len(asked), what=f"records by {voter}")
        differ = [answer.id for answer in answers if answer.labels != held[voter].get(answer.id)]
        found[voter] = {"asked": len(asked), "same": len(asked) - len(differ), "differ": sorted(differ)}
    return found
