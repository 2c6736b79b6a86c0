"""The supervised rows: instruction, input, output (canonical JSON), in train, val and test by split group; gold apart."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgauge.answers import canonical
from mindgauge.dealing import Stratum, deal
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json, write_jsonl
from mindgauge.labels import Field, Scheme
from mindgauge.leaks import leak_report
from mindgauge.progress import tell
from mindgauge.records import Record, read_records
from mindgauge.views import VIEWS, view

SPLITS = ("train", "val", "test")


def _counts(rows: Iterable[dict[str, Any]], scheme: Scheme) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {field.name: Counter() for field in scheme.fields}
    for row in rows:
        for name, value in json.loads(row["output"]).items():
            found[name][str(value)] += 1
    return {name: dict(counts) for name, counts in found.items()}


def strata_of(records: list[Record], group_of: dict[str, str], risk_of: dict[str, str]) -> dict[str, Stratum]:
    """group -> what it is dealt by: of its records' risks the rarest in the whole set, of their sources the commonest."""
    rarity = Counter(risk_of[str(record.id)] for record in records)
    members: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        members[group_of[str(record.id)]].append(record)
    return {
        name: Stratum(
            min((risk_of[str(record.id)] for record in of), key=lambda risk: (rarity[risk], risk)),
            min(Counter(record.source for record in of).items(), key=lambda pair: (-pair[1], pair[0]))[0],
        )
        for name, of in members.items()
    }


def stability(
    records: list[Record], group_of: dict[str, str], risk_of: dict[str, str], dealt: dict[str, str], rules: Any
) -> Any:
    """How many records stand in another split than they would without a tenth of the records: what adding that tenth moved."""
    old = [record for record in records if int(str(record.id), 16) % 10]
    names: dict[str, str] = {}
    for record in old:
        group = group_of[str(record.id)]
        names[group] = min(str(record.id), names.get(group, str(record.id)))
    before_of = {str(record.id): names[group_of[str(record.id)]] for record in old}
    before = deal(strata_of(old, before_of, risk_of), **rules)
    moved = sum(before[before_of[str(record.id)]] != dealt[group_of[str(record.id)]] for record in old)
    return {"old": len(old), "added": len(records) - len(old), "moved": moved}


def moved_since(before: Path, rows: dict[str, list[dict[str, Any]]]) -> str:
    """A sentence on how many records stand in another split than in the files of `before`; empty if there are none."""
    held = {
        row["id"]: name
        for name in SPLITS
        if (before / f"{name}.jsonl").is_file()
        for row in read_jsonl(before / f"{name}.jsonl")
    }
    now = {row["id"]: name for name in SPLITS for row in rows[name] if row["id"] in held}
    moved = sum(held[name] != split for name, split in now.items())
    return f"{moved} of {len(now)} records that were dealt before stand in another split now" if held else ""


def make(inputs: dict[str, Path], out: Path, before: Path | None = None, **options: Any) -> dict[str, Any]:
    """Writes {train,val,test,gold}.jsonl with id, source and group, other_view.jsonl (the test rows in the view that is not trained
    on), sft_student_mental.jsonl (training rows as LLaMA-Factory loads them), dataset_info.json (which names the validation rows too) and stats.json. `before` holds the rows of an earlier run; how many moved is told.
    Returns the facts of them: `longest_row`, the characters of the longest one that is trained on.

    Rows of one input (a word-for-word repetition) share a group already. Records without a label, and those in a group with a
    gold record, are left out; of train and val also those whose label is less sure than `leave_out_below`. Rows of an alarming
    class stand `oversample_risk` times in train. Raises UserError if a split stays empty.
    """
    which, scheme, instruction = options["view"], Scheme.from_dict(options["labels"]), options["instruction"]
    labelled = {row["id"]: row for row in read_jsonl(inputs["labels"] / "dataset.jsonl")}
    labels = {name: row["labels"] for name, row in labelled.items()}
    group_of = {row["id"]: row["group"] for row in read_jsonl(inputs["split"] / "groups.jsonl")}
    gold = list(read_records(inputs["minimise"] / "gold.jsonl"))
    beside_gold = {group_of[str(record.id)] for record in gold}
    left_out = {"without a label": 0, "in a group with a gold record": 0, "doubtful": 0}
    records = []
    for record in read_records(inputs["minimise"] / "unified_min.jsonl"):
        if str(record.id) not in labels:
            left_out["without a label"] += 1
        elif group_of[str(record.id)] in beside_gold:
            left_out["in a group with a gold record"] += 1
        else:
            records.append(record)
    alarm = scheme.alarms[0] if scheme.alarms else None
    risk_of = {str(record.id): str(labels[str(record.id)][alarm.name]) if alarm else "" for record in records}
    rules = {
        "val": options["val"],
        "test": options["test"],
        "seed": options["seed"],
        "safe": str(alarm.safe) if alarm else None,
        "min_per_class": options["min_per_class"],
    }
    splits = deal(strata_of(records, group_of, risk_of), **rules)
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": [], "gold": []}
    other_view: list[dict[str, Any]] = []

    def row(record: Record, group: str, output: str, which: str = which) -> dict[str, Any]:
        return {
            "id": record.id,
            "source": record.source,
            "group": group,
            "themes": record.themes,
            "instruction": instruction,
            "input": view(record, which),
            "output": output,
        }

    for record in records:
        group = group_of[str(record.id)]
        if splits[group] != "test" and labelled[str(record.id)]["confidence"] < options["leave_out_below"]:
            left_out["doubtful"] += 1
            continue
        output = canonical(scheme, labels[str(record.id)])
        rows[splits[group]].append(row(record, group, output))
        if splits[group] == "test":
            other_view.append(row(record, group, output, VIEWS[which]))
    for record in gold:
        # Human labels may be of some fields only (PsySUICIDE knows the risk alone), in the scheme's order.
        held = {name: (record.labels or {})[name] for name in scheme.names if name in (record.labels or {})}
        rows["gold"].append(row(record, str(record.id), json.dumps(held, ensure_ascii=False)))
    for name in SPLITS:
        if not rows[name] and (name == "train" or options[name] > 0):
            raise UserError(
                f"the split {name} is empty ({len(records)} records in {len(splits)} groups)",
                where="config: sft",
                instead="more records, or a larger share for this split",
            )
    trained = oversampled(rows["train"], alarm, options["oversample_risk"])
    for name, of in {**rows, "train": trained, "other_view": other_view}.items():
        write_jsonl(out / f"{name}.jsonl", of)
    columns = ("instruction", "input", "output")
    write_jsonl(out / "sft_student_mental.jsonl", ({name: row[name] for name in columns} for row in trained))
    # LLaMA-Factory, data/README.md: prompt, query and response name the columns; it joins prompt and query with one "\n".
    mapping = dict(zip(("prompt", "query", "response"), columns, strict=True))
    loaded = {"sft_student_mental": "sft_student_mental.jsonl", "sft_student_mental_val": "val.jsonl"}
    described = {name: {"file_name": file, "columns": mapping} for name, file in loaded.items()}
    write_json(out / "dataset_info.json", described)
    counts = {
        name: {
            "rows": len(of),
            "groups": len({row["group"] for row in of}),
            "sources": dict(Counter(row["source"] for row in of)),
            "fields": _counts(of, scheme),
        }
        for name, of in rows.items()
    }
    warnings = few_in_test(counts, alarm, options["min_per_class"])
    for sentence in [*warnings, moved_since(before, rows) if before else ""]:
        if sentence:
            tell(sentence)
    stats = {
        "view": which,
        "splits": counts,
        "left_out": left_out,
        "trained_on": {"rows": len(trained), "fields": _counts(trained, scheme)},
        "warnings": warnings,
        "stability": stability(records, group_of, risk_of, splits, rules),
        "leak": leak_report(rows["train"], rows["test"]),
    }
    write_json(out / "stats.json", stats)
    read = [len("".join(row[name] for name in columns)) for name in ("train", "val") for row in rows[name]]
    return {"longest_row": max(read)}


def oversampled(rows: list[dict[str, Any]], alarm: Field | None, times: int) -> list[dict[str, Any]]:
    """The rows, each of an alarming class `times` times in a row: training shuffles them."""
    if alarm is None or times == 1:
        return rows
    return [row for row in rows for _ in range(times if json.loads(row["output"])[alarm.name] != alarm.safe else 1)]


def few_in_test(counts: dict[str, Any], alarm: Field | None, least: int) -> list[str]:
    """A sentence for each value that raises an alarm and has fewer than `least` rows in test."""
    if alarm is None:
        return []
    found = []
    for value in alarm.values:
        held, whole = (
            sum(counts[name]["fields"][alarm.name].get(str(value), 0) for name in names)
            for names in (("test",), SPLITS)
        )
        if value != alarm.safe and held < least:
            found.append(
                f"{alarm.name} {value}: {held} of {whole} rows are in test, fewer than {least}; what is measured of it says little"
            )
    return found
