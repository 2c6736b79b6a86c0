"""The supervised rows: instruction, input, output (canonical JSON), in train, val and test by split group; gold apart."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgauge.answers import canonical
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json, write_jsonl
from mindgauge.labels import Scheme
from mindgauge.records import Record

NAMES = {"client": "学生", "counsellor": "咨询师"}


def view(record: Record, which: str) -> str:
    """What the model reads: `client`, the client's turns, a line each; or `dialogue`, all turns with who speaks."""
    if which == "client":
        return record.words("client")
    return "\n".join(f"{NAMES[turn.role]}：{turn.text}" for turn in record.turns)


def assign(groups: dict[str, list[str]], strata: dict[str, str], val: float, test: float, seed: int) -> dict[str, str]:
    """group -> split. Groups are ordered by a hash with the seed and dealt stratum by stratum, so that each split gets its
    share of every stratum (the group's risk). The rarest stratum goes first to test, then to validation."""
    by_stratum: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        by_stratum[strata[group]].append(group)
    splits = {}
    for members in by_stratum.values():
        members.sort(key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).hexdigest())
        in_test, in_val = (round(len(members) * share) for share in (test, val))
        for number, group in enumerate(members):
            splits[group] = "test" if number < in_test else "val" if number < in_test + in_val else "train"
    return splits


def _counts(rows: Iterable[dict[str, Any]], scheme: Scheme) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {field.name: Counter() for field in scheme.fields}
    for row in rows:
        for name, value in json.loads(row["output"]).items():
            found[name][str(value)] += 1
    return {name: dict(counts) for name, counts in found.items()}


def make(inputs: dict[str, Path], out: Path, **options: Any) -> None:
    """Writes {train,val,test,gold}.jsonl with id, source and group, sft_student_mental.jsonl (training rows as
    LLaMA-Factory loads them), dataset_info.json and stats.json.

    Rows of one input (a word-for-word repetition) share a group already. Raises UserError if a split stays empty.
    """
    which, scheme, instruction = options["view"], Scheme.from_dict(options["labels"]), options["instruction"]
    labels = {row["id"]: row["labels"] for row in read_jsonl(inputs["labels"] / "dataset.jsonl")}
    group_of = {row["id"]: row["group"] for row in read_jsonl(inputs["split"] / "groups.jsonl")}
    records = [Record.from_dict(row) for row in read_jsonl(inputs["minimise"] / "unified_min.jsonl")]
    groups: dict[str, list[str]] = defaultdict(list)
    for record in records:
        groups[group_of[str(record.id)]].append(str(record.id))
    # The alarm that is rarest in the whole set names a group's stratum.
    alarm = scheme.alarms[0] if scheme.alarms else None
    order = Counter(str(labels[str(record.id)][alarm.name]) for record in records) if alarm else Counter[str]()
    strata = {
        name: min((str(labels[i][alarm.name]) for i in ids), key=lambda v: order[v]) if alarm else ""
        for name, ids in groups.items()
    }
    splits = assign(groups, strata, options["val"], options["test"], options["seed"])
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": [], "gold": []}

    def row(record: Record, group: str, output: str) -> dict[str, Any]:
        return {
            "id": record.id,
            "source": record.source,
            "group": group,
            "instruction": instruction,
            "input": view(record, which),
            "output": output,
        }

    for record in records:
        group = group_of[str(record.id)]
        rows[splits[group]].append(row(record, group, canonical(scheme, labels[str(record.id)])))
    for record in (Record.from_dict(row) for row in read_jsonl(inputs["minimise"] / "gold.jsonl")):
        # Human labels may be of some fields only (PsySUICIDE knows the risk alone), in the scheme's order.
        held = {name: (record.labels or {})[name] for name in scheme.names if name in (record.labels or {})}
        rows["gold"].append(row(record, str(record.id), json.dumps(held, ensure_ascii=False)))
    for name in ("train", "val", "test"):
        if not rows[name] and (name == "train" or options[name] > 0):
            raise UserError(
                f"the split {name} is empty ({len(records)} records in {len(groups)} groups)",
                where="config: sft",
                instead="more records, or a larger share for this split",
            )
    for name, of in rows.items():
        write_jsonl(out / f"{name}.jsonl", of)
    columns = ("instruction", "input", "output")
    write_jsonl(out / "sft_student_mental.jsonl", ({name: row[name] for name in columns} for row in rows["train"]))
    # LLaMA-Factory, data/README.md: prompt, query and response name the columns; it joins prompt and query with one "\n".
    mapping = dict(zip(("prompt", "query", "response"), columns, strict=True))
    write_json(
        out / "dataset_info.json", {"sft_student_mental": {"file_name": "sft_student_mental.jsonl", "columns": mapping}}
    )
    stats = {
        name: {"rows": len(of), "groups": len({row["group"] for row in of}), "fields": _counts(of, scheme)}
        for name, of in rows.items()
    }
    write_json(out / "stats.json", {"view": which, "splits": stats})
