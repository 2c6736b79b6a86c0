"""Export: the supervised rows as a dataset to hand on, of sources that allow it."""

from collections import Counter
from pathlib import Path
from typing import Any

from mindgauge.croissant import described
from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json, read_jsonl, sha256_file, write_json, write_jsonl, write_text
from mindgauge.licences import notices, refuse_sources, restricted

COLUMNS = ("instruction", "input", "output")
SPLITS = ("train", "val", "test", "gold")


def card(counts: dict[str, Counter[str]], sources: dict[str, Any], left_out: int) -> str:
    """The dataset card: what is in it, from where, and what was left out."""
    lines = [
        "---",
        "language: zh",
        "license: other",
        "task_categories: [text-generation]",
        "---",
        "",
        "# Supervised rows of MindGauge",
        "",
    ]
    lines += ["| source | licence | " + " | ".join(SPLITS) + " |", "|---|---|" + "---|" * len(SPLITS)]
    for name in sorted({source for of in counts.values() for source in of}):
        lines.append(
            f"| {name} | {sources[name]['licence']} | "
            + " | ".join(str(counts[split][name]) for split in SPLITS)
            + " |"
        )
    lines += ["", f"{left_out} rows of sources whose text may not be passed on were left out." if left_out else ""]
    lines += [
        "Labels are a labeller's, but for the gold rows. See NOTICES.md. A screening aid is made of it, not a diagnosis."
    ]
    return "\n".join(lines) + "\n"


def export(sft: Path, out: Path, sources: dict[str, Any], leave_out_restricted: bool) -> None:
    """Writes {train,val,test,gold}.jsonl (instruction, input, output), dataset_info.json, croissant.json, README.md,
    NOTICES.md and checksums.txt. Raises UserError, naming them, if a source may not be passed on, unless its rows are left out."""
    held = read_json(sft / "stats.json")["splits"]
    used = {source for split in SPLITS for source in held[split]["sources"]}
    if not leave_out_restricted:
        refuse_sources(used, sources, "the exported dataset")
    forbidden = set(restricted(sources))
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    left_out = 0
    for split in SPLITS:
        rows = []
        for row in read_jsonl(sft / f"{split}.jsonl"):
            if row["source"] in forbidden:
                left_out += 1
                continue
            counts[split][row["source"]] += 1
            rows.append({name: row[name] for name in COLUMNS})
        write_jsonl(out / f"{split}.jsonl", rows)
    kept = {name: sources[name] for name in sources if any(of[name] for of in counts.values())}
    if not kept:
        raise UserError(
            "nothing is left to export: the text of no source may be passed on",
            where=", ".join(f"sources.{name}.redistribute" for name in sorted(used)),
            instead="sources with `redistribute: true`",
        )
    mapping = dict(zip(("prompt", "query", "response"), COLUMNS, strict=True))
    write_json(
        out / "dataset_info.json",
        {f"mindgauge_{split}": {"file_name": f"{split}.jsonl", "columns": mapping} for split in SPLITS},
    )
    files = {
        name: {"sha256": sha256_file(out / name), "size": (out / name).stat().st_size}
        for name in (f"{split}.jsonl" for split in SPLITS)
    }
    licences = sorted({of["licence"] for of in kept.values()})
    write_json(
        out / "croissant.json",
        described(
            "MindGauge-supervised-rows",
            "Supervised rows for screening students' mental state.",
            files,
            COLUMNS,
            licences,
        ),
    )
    write_text(out / "README.md", card(counts, sources, left_out))
    write_text(out / "NOTICES.md", notices("", kept))
    write_text(out / "checksums.txt", "".join(f"{sha256_file(path)}  {path.name}\n" for path in files_below(out)))
