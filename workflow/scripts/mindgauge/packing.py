"""What goes into the crate: of each step the files that hold neither text nor weights, the workflow, the configuration, the cards."""

import os
import re
from collections import Counter
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from mindgauge import leaving
from mindgauge.crate import write_crate, write_zip
from mindgauge.croissant import COLUMNS, described
from mindgauge.exporting import SPLITS, card
from mindgauge.files import read_json, write_json, write_text
from mindgauge.lock import LOCK
from mindgauge.records import read_records
from mindgauge.store import MANIFEST

# By step; what is not named stays on the machine. `quarantine.jsonl` is not: the raw files' names are
# their owner's; nor is what was fetched of a base: some hold paths of those who made it.
SHOWN = {
    "ingest": ("stats.json",),
    "unify": ("stats.json",),
    "minimise": ("stats_min.json",),
    "split": ("stats_split.json", "groups.jsonl"),
    "merge_labels": ("stats.json", "gold.json", "needs_review.csv", "audit_weights.json"),
    "make_sft": ("stats.json", "dataset_info.json"),
    "train": ("*.json", "*.png"),
    "merge": ("config.json", "merge_check.json"),
    "evaluate": ("metrics.json",),
    "judge": ("comparison.json", "gates.json", "errors.csv", "verify.json"),
    "bench": ("bench.json",),
    "baselines": ("*/metrics.json",),
    "report": ("index.html", "results.json", "results.txt"),
    # A bundle is packed whole but for its weights.
    "bundle": ("README.md",),
}
CONFIG = "config/config.yaml"
# What no file of the crate may hold text of: also what is only tested on.
RECORDS = ("unified_min.jsonl", "gold.jsonl")


def shown(views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The views that the crate packs."""
    return [view for view in views if any(fnmatch(view["file"], name) for name in SHOWN.get(view["step"], ()))]


def workflow_files() -> list[str]:
    """The files of this clone that are the workflow. Profiles name accounts, raw data is its owner's: they stay."""
    held = ["Snakefile", "LICENSE", "CITATION.cff", "README.md", "pyproject.toml", "envs/lock.txt", "envs/sdist.lock"]
    patterns = ["rules/*.smk", "report/*.rst", "docs/*.md", "config/templates/*.jinja", "config/schemas/*.json"]
    found = [path for pattern in patterns for path in Path().glob(pattern)]
    found += Path("workflow/scripts").rglob("*.py")
    return sorted(path.as_posix() for path in [*map(Path, held), *found] if path.is_file())


def _data_card(sft: Path, sources: dict[str, Any], out: Path) -> None:
    """README.md and croissant.json of the supervised rows, which stay where they are."""
    files = {
        name: of for name, of in read_json(sft / MANIFEST)["files"].items() if name.removesuffix(".jsonl") in SPLITS
    }
    held = read_json(sft / "stats.json")["splits"]
    counts = {split: Counter(held[split]["sources"]) for split in SPLITS}
    used = {name: of for name, of in sources.items() if any(of_split[name] for of_split in counts.values())}
    write_text(out / "README.md", card(counts, sources, 0))
    found = described(
        "MindGauge-supervised-rows",
        "Supervised rows for screening students' mental state. The files hold what people said and are not part of this crate.",
        files,
        tuple(COLUMNS),
        sorted({of["licence"] for of in used.values()}),
    )
    write_json(out / "croissant.json", found)


def pack(
    inputs: dict[str, Path],
    workflow: list[Path],
    entries: list[Path],
    out: Path,
    work: Path,
    *,
    views: list[dict[str, Any]],
    config: dict[str, Any],
    labels: dict[str, Any],
    instruction: str,
    sources: dict[str, Any],
    title: str,
) -> None:
    """Writes crate.zip. `entries` are those of `views`, one each. Raises UserError if a file of it held a record's text, a path of
    this machine or a secret of the environment."""
    written = work / "written"
    write_text(written / CONFIG, yaml.safe_dump(config, allow_unicode=True, sort_keys=True))
    write_json(written / "config/label_scheme.json", labels)
    write_text(written / "config/instruction.txt", instruction + "\n")
    _data_card(inputs["sft"], sources, written / "results/sft")
    files = {path.as_posix(): path for path in workflow}
    made = {"results/manifest.json": inputs["catalogue"] / "catalogue.json"}
    for entry, view in zip(entries, views, strict=True):
        made[f"results/{view['view']}"] = entry / view["file"]
        if view["step"] == "bundle":
            above = Path("results", view["view"]).parent.as_posix()
            held = [name for name in read_json(entry / MANIFEST)["files"] if not name.endswith(".gguf")]
            made |= {f"{above}/{name}": entry / name for name in held}
    for name in (CONFIG, "config/label_scheme.json", "config/instruction.txt"):
        files[name] = written / name
    for name in ("results/sft/README.md", "results/sft/croissant.json"):
        made[name] = written / name
    # The program's own files hold samples of how people speak, and none of ours says where it lies.
    leaving.refuse_records(
        {name: path.read_bytes() for name, path in {**made, **files}.items() if path not in workflow},
        (record for name in RECORDS for record in read_records(inputs["minimise"] / name)),
    )
    catalogue = read_json(inputs["catalogue"] / "catalogue.json")["entries"]
    raw = {
        of["params"]["source"]: of["inputs"]["raw"]["sha256"]
        for of in catalogue.values()
        if of["rule"] == "make_ingest"
    }
    pinned = re.search(r"^snakemake==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    directory = work / "crate"
    write_crate(
        {**files, **made},
        list(made),
        directory,
        name=title,
        description="From counselling corpora to small screening models: the workflow, its configuration, and what a run of it found. Text of records and weights of models are left out; results/manifest.json has the sha256 of each.",
        version=version("mindgauge"),
        snakemake=pinned[1] if pinned else "",
        config=CONFIG,
        sources={name: {"licence": sources[name]["licence"], "sha256": of} for name, of in sorted(raw.items())},
        ended=max((entry / MANIFEST).stat().st_mtime for entry in entries),
    )
    packed = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
    leaving.refuse_places(packed, [Path.home(), Path.cwd(), inputs["catalogue"].resolve().parents[1]], os.environ)
    write_zip(directory, out / "crate.zip")
