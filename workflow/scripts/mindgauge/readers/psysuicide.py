"""PsySUICIDE: a JSON array of {idx, text, labels}: human classes of risk, used as gold.

Its eleven classes map on `risk_flag` as below (FIELD_NOTES 6). Two need a decision and are left out of the gold, since either
answer would be arguable: exploration of the subject without intent, and aggression by others.
"""

from collections.abc import Iterator
from pathlib import Path

from mindgauge.files import files_below
from mindgauge.readers.text import json_items
from mindgauge.records import Broken, Record, Turn

FORMAT = "one or more .json, each an array of objects with text and labels (a list of classes)"
RISK = {
    "主动自杀意图": "suicidal",
    "被动自杀意图": "suicidal",
    "自杀计划": "suicidal",
    "自杀准备行为": "suicidal",
    "自杀未遂": "suicidal",
    "自伤行为": "self_harm",
    "自伤意图": "self_harm",
    "用户攻击行为": "violence",
    "与自杀/自伤/攻击行为无关": "none",
}


def read(path: Path, columns: dict[str, str]) -> Iterator[Record | Broken]:
    """One record a text whose class maps on `risk_flag`; the others are quarantined with that reason."""
    for file in files_below(path) if path.is_dir() else [path]:
        if file.suffix != ".json":
            continue
        try:
            for line, item in json_items(file):
                if (
                    not isinstance(item, dict)
                    or not isinstance(item.get("text"), str)
                    or not isinstance(item.get("labels"), list)
                ):
                    yield Broken(file.name, line, "not an object with text and labels")
                    continue
                flags = {RISK[name] for name in item["labels"] if name in RISK}
                flag = next((name for name in ("suicidal", "self_harm", "violence", "none") if name in flags), None)
                if flag is None:
                    yield Broken(file.name, line, "its class has no risk_flag (exploration, or aggression by others)")
                else:
                    yield Record(
                        "",
                        str(item.get("idx", line)),
                        "qa",
                        [Turn("client", item["text"].strip())],
                        labels={"risk_flag": flag},
                    )
        except (ValueError, UnicodeDecodeError) as error:
            yield Broken(file.name, error.args[0] if type(error) is ValueError else 1, "not JSON from here on")
