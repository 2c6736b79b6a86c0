"""The label scheme of config/labels.yaml."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mindgauge.errors import UserError

Value = int | str


@dataclass(frozen=True)
class Field:
    """One label. `values` stand in order for an ordinal label; `safe` is the value of a nominal one that raises no alarm."""

    name: str
    title: str
    kind: str
    values: tuple[Value, ...]
    anchors: dict[Value, str]
    safe: Value | None = None

    def foreign(self, prompt: str) -> str:
        """What a prompt allows behind the label's name that is none of its values: a range (`0-4`) or words (`none|high`); empty
        if there is nothing."""
        after = rf"{re.escape(self.name)}[\"']?\s*[（(:：=]?\s*"
        if self.kind == "ordinal":
            for low, high in re.findall(rf"{after}(\d+)\s*(?:[-–—~～]|到|至)\s*(\d+)", prompt):
                if int(low) not in self.values or int(high) not in self.values:
                    return f"{low}-{high}"
        for words in re.findall(rf"{after}(\w+(?:\s*[|/]\s*\w+)+)", prompt):
            for word in re.split(r"\s*[|/]\s*", words):
                if word not in map(str, self.values):
                    return word
        return ""


@dataclass(frozen=True)
class Scheme:
    """The labels in the order of the answer's keys."""

    fields: tuple[Field, ...]

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str = "config/labels.yaml") -> "Scheme":
        """The scheme in `data`. Raises UserError naming the field that is wrong."""
        fields = []
        for number, item in enumerate(data.get("fields") or []):
            name = item.get("name") if isinstance(item, dict) else None
            at = f"{where}, fields[{number}]" + (f" ({name})" if name else "")
            if not isinstance(item, dict) or not {"name", "kind", "values"} <= item.keys():
                raise UserError("a label needs name, kind and values", where=at, instead="see config/README.md")
            if unknown := set(item) - {"name", "title", "kind", "values", "anchors", "safe"}:
                raise UserError(
                    f"unknown key {sorted(unknown)[0]!r} of a label",
                    where=at,
                    instead="one of name, title, kind, values, anchors, safe",
                )
            values = tuple(item["values"])
            if item["kind"] not in ("ordinal", "nominal"):
                raise UserError(f"kind is {item['kind']!r}", where=at, instead="ordinal or nominal")
            if len(values) < 2 or len(set(values)) != len(values):
                raise UserError(
                    "values must be at least two different ones", where=at, instead="for example [0, 1, 2, 3]"
                )
            if item["kind"] == "ordinal" and not all(type(v) is int for v in values):
                raise UserError(
                    "the values of an ordinal label are whole numbers", where=at, instead="for example [0, 1, 2, 3]"
                )
            if item["kind"] == "nominal" and not all(isinstance(v, str) for v in values):
                raise UserError(
                    "the values of a nominal label are words", where=at, instead="quote words such as 'no' and 'off'"
                )
            anchors = dict(item.get("anchors") or {})  # a mapping, or the pairs of to_dict
            if stray := [a for a in anchors if a not in values]:
                raise UserError(
                    f"an anchor stands for {stray[0]!r}, which is no value", where=at, instead=f"one of {list(values)}"
                )
            safe = item.get("safe")
            if safe is not None and safe not in values:
                raise UserError(f"safe is {safe!r}, which is no value", where=at, instead=f"one of {list(values)}")
            title = str(item.get("title") or item["name"])
            fields.append(Field(item["name"], title, item["kind"], values, anchors, safe))
        if not fields or len({f.name for f in fields}) != len(fields):
            raise UserError(
                "no label, or two of the same name", where=where, instead="a list `fields`, each with its own name"
            )
        return cls(tuple(fields))

    @classmethod
    def load(cls, path: Path) -> "Scheme":
        """The scheme in a YAML file. Raises UserError."""
        return cls.from_dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, str(path))

    def to_dict(self) -> dict[str, Any]:
        """The scheme as plain data, from which `from_dict` makes the same scheme. It goes into recipes."""
        return {
            "fields": [
                {
                    "name": f.name,
                    "title": f.title,
                    "kind": f.kind,
                    "values": list(f.values),
                    # pairs, since JSON would turn a key 0 into "0"
                    "anchors": [[value, text] for value, text in f.anchors.items()],
                    "safe": f.safe,
                }
                for f in self.fields
            ]
        }

    def __getitem__(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the labels in key order."""
        return tuple(field.name for field in self.fields)

    @property
    def alarms(self) -> tuple[Field, ...]:
        """The labels that can raise an alarm: those with a `safe` value."""
        return tuple(field for field in self.fields if field.safe is not None)

    def instruction(self, template: str, where: str = "config: prompt") -> str:
        """The prompt template with `{{ keys }}` and, if it has that, `{{ anchors }}` filled in from the scheme.

        Raises UserError if it lacks the keys, or names a value that a label does not have.
        """
        lines = []
        for field in self.fields:
            parts = [f"{value}={text}" for value, text in field.anchors.items()]
            bounds = (
                f"{field.values[0]}-{field.values[-1]}" if field.kind == "ordinal" else "|".join(map(str, field.values))
            )
            lines.append(f"{field.name}（{bounds}）：" + "；".join(parts))
        if "{{ keys }}" not in template:
            raise UserError(
                "the prompt has no {{ keys }}",
                where=where,
                instead="write {{ keys }} where the names of the labels shall stand",
            )
        filled = template.replace("{{ keys }}", "、".join(self.names)).replace("{{ anchors }}", "\n".join(lines))
        for field in self.fields:
            if foreign := field.foreign(filled):
                raise UserError(
                    f"the prompt allows {field.name} to be {foreign}",
                    where=where,
                    instead=f"one of {list(field.values)}, as config/labels.yaml has them ({{{{ anchors }}}} writes them)",
                )
        return filled.rstrip("\n")
