"""The option reference (config/README.md), the reference of result records (docs/result-record.md), the names in
LLaMA-Factory (docs/llama-factory-keys.md) and the JSON schemas (config/schemas/), made from the models; the picture of the steps
(docs/images/dag.svg), made from the plan."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from mindgauge import diagram, llama_factory, result_schema
from mindgauge.config import Config, Model, Source
from mindgauge.records import RECORD

SECTIONS: dict[str, type[BaseModel]] = {
    "Top level": Config,
    "sources.&lt;name&gt;": Source,
    # Every section of the configuration, in its order.
    **{
        name: field.annotation
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    },
    "A stanza of models.yaml": Model,
}
HEAD = """# Options

Made from `workflow/scripts/mindgauge/config.py` by `python workflow/scripts/document_config.py`; a test keeps it in step.

`config.yaml` holds what differs from the defaults; an overlay (`--configfile my.yaml`) changes single keys of it.
`models.yaml` holds one stanza a base model, `labels.yaml` the label scheme, `prompts/` the instruction, `templates/` one chat
template a family. `models.lock.yaml` is written when a base is first fetched: commit and sha256 of each file, obeyed from then on.
Every key is checked before any job starts; an unknown one is answered with the nearest valid key.
"""

RESULTS = """# The result record, key by key

Made from `workflow/scripts/mindgauge/result_schema.py` by `python workflow/scripts/document_config.py`; a test keeps it in step.

A result record stands at `results.<way>.<set>` of `models/<model>/eval/<variant>.json` ([outputs](outputs.md#the-figures-of-a-variant)).
Its JSON schema is [config/schemas/result.schema.json](../config/schemas/result.schema.json).
"""


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, BaseModel):
        return "its section"
    return f"`{json.dumps(field.default, ensure_ascii=False)}`"


def _kind(schema: dict[str, Any]) -> str:
    """The allowed values of an option, from its JSON schema."""
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "section"
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object":
        return "mapping"
    bounds = [
        f"{sign} {schema[name]}"
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if name in schema
    ]
    return " ".join([str(schema.get("type", "any")), *bounds])


def reference() -> str:
    """The text of config/README.md."""
    parts = [HEAD]
    for title, section in SECTIONS.items():
        properties = section.model_json_schema()["properties"]
        parts.append(f"\n## {title}\n\n{section.__doc__}\n\n| key | values | default | meaning |\n|---|---|---|---|\n")
        for name, field in section.model_fields.items():
            parts.append(f"| `{name}` | {_kind(properties[name])} | {_default(field)} | {field.description} |\n")
    return "".join(parts)


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    """The parts of a record in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inside in get_args(annotation):
        yield from _parts(inside)


def result_record() -> str:
    """The text of docs/result-record.md: the parts of a result record in the order in which they are met, then the prediction row
    and the decision of the gates."""
    parts: list[str] = [RESULTS]
    waiting: list[type[BaseModel]] = [result_schema.Result, result_schema.Prediction, result_schema.Decision]
    done: set[type[BaseModel]] = set()
    while waiting:
        model = waiting.pop(0)
        if model in done:
            continue
        done.add(model)
        parts.append(f"## {model.__name__}\n\n{str(model.__doc__).strip()}\n\n| key | meaning |\n|---|---|\n")
        inside: list[type[BaseModel]] = []
        for name, field in model.model_fields.items():
            found = list(_parts(field.annotation))
            inside += found
            see = "".join(f" [{part.__name__}](#{part.__name__.lower()})" for part in found)
            parts.append(f"| `{name}` | {field.description}{see} |\n")
        parts.append("\n")
        waiting[:0] = inside
    return "".join(parts).rstrip("\n") + "\n"


def documents() -> dict[Path, str]:
    """Every file made from the models, with its text."""

    def schema(model: type[BaseModel]) -> str:
        return json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False) + "\n"

    return {
        Path("config/README.md"): reference(),
        Path("docs/result-record.md"): result_record(),
        Path("docs/llama-factory-keys.md"): llama_factory.reference(),
        Path("docs/images/dag.svg"): diagram.svg(),
        Path("config/schemas/config.schema.json"): schema(Config),
        Path("config/schemas/model.schema.json"): schema(Model),
        Path("config/schemas/record.schema.json"): json.dumps(RECORD.json_schema(), indent=2, ensure_ascii=False)
        + "\n",
        **result_schema.documents(),
    }
