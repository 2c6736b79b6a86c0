"""The configuration, typed: one source for checks, defaults, the JSON schemas and the option reference.

Every model forbids unknown keys; `load` turns pydantic's findings into one message a finding: the key, the value, what is
allowed, and the nearest valid key.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mindgauge.errors import UserError
from mindgauge.labels import Scheme

Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]
Quant = Literal["Q2_K", "Q3_K_M", "Q4_0", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0", "IQ4_NL", "IQ4_XS"]
Reader = Literal["cpsycound", "cpsycoune", "psyqa", "smile", "psysuicide", "alpaca", "messages", "table"]
FAMILIES = ("deepseek-r1", "qwen3", "llama3", "gemma3", "mistral")


class Section(BaseModel):
    """A section of the configuration: an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), strict=False, validate_default=True)


class Source(Section):
    """One corpus."""

    path: str = Field(
        description="File or directory of the raw corpus, relative to the repository.", examples=["data/raw/CPsyCounD"]
    )
    reader: Reader = Field(description="The format the raw files are in.")
    role: Literal["train", "gold"] = Field(
        "train", description="`train`: goes through the chain; `gold`: human labels, kept apart for evaluation."
    )
    licence: str = Field("unknown", description="Licence of the corpus; travels with every model trained on it.")
    redistribute: bool = Field(
        False, description="Whether its text may be passed on. It never leaves the machine where this is false."
    )
    notice: str = Field("", description="Text that its licence wants to be passed on with what is made of it.")
    columns: dict[str, str] = Field({}, description="For `table`: which column holds what.")


class Data(Section):
    """Minimising and splitting."""

    student_threshold: float = Field(
        2.5,
        description="Evidence, as scored in mindgauge/students.py, from which a record counts as a student's; results/data/student_audit.csv shows it on samples.",
    )
    min_counsellor_chars: int = Field(80, ge=0, description="Records whose counsellor says less are dropped.")
    length_rule: Literal["total", "longest", "each"] = Field(
        "total",
        description="What `min_counsellor_chars` is measured on in a dialogue: all the counsellor's words, the longest turn, or each turn. Of a question the longest answer is measured.",
    )
    max_turns: int = Field(12, ge=1, description="A dialogue is cropped to its most recent turns.")
    max_chars: int = Field(
        2000, ge=100, description="A dialogue is cropped, at turn boundaries, to this many characters."
    )
    near_duplicate: float = Field(
        0.7, gt=0, le=1, description="Jaccard similarity from which two records belong to one split group."
    )
    permutations: int = Field(128, ge=16, description="MinHash permutations: more find near duplicates more surely.")


class Label(Section):
    """The labeller."""

    backend: Literal["keywords", "llama-cpp", "file"] = Field(
        "keywords",
        description="Who labels: the embedded keyword rules, a local GGUF in process, or a file of labels you have.",
    )
    shard_size: int = Field(500, ge=1, description="Records a labelling job; shards run side by side.")
    model: str | None = Field(None, description="For `llama-cpp`: path of the GGUF.")
    file: str | None = Field(None, description="For `file`: JSONL with `id` and the labels.")
    context: int = Field(4096, ge=512, description="For `llama-cpp`: context length in tokens.")


class Sft(Section):
    """The supervised rows."""

    view: Literal["client", "dialogue"] = Field(
        "client",
        description="What the model reads: the client's words alone (the counsellor often states the severity), or the whole dialogue.",
    )
    val: Fraction = Field(0.05, description="Share of the split groups for validation.")
    test: Fraction = Field(0.10, description="Share of the split groups held out for evaluation.")
    min_per_class: int = Field(
        10,
        ge=0,
        description="Least split groups of each alarming class in test, as long as half of the class is left to train on; below it the report warns.",
    )
    seed: int = Field(20261124, description="Seed of the split.")


class Train(Section):
    """Training numbers; every one can be set for a single model in its stanza."""

    lora_r: int = Field(16, ge=1, description="Rank of LoRA.")
    lora_alpha: int = Field(32, ge=1, description="Scale of LoRA.")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="Dropout of LoRA.")
    target_modules: str | list[str] = Field(
        "all-linear", description="Which linear layers LoRA adapts; never the embeddings or the output head."
    )
    load_in_4bit: bool = Field(
        False, description="Train over an NF4 base (bitsandbytes). Merging always uses the full-precision base."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="Compute precision; `auto` is bf16 on a GPU and fp32 on a CPU."
    )
    batch_size: int = Field(8, ge=1, description="Rows a step on one device.")
    gradient_accumulation: int = Field(4, ge=1, description="Steps whose gradients are summed.")
    learning_rate: float = Field(1e-4, gt=0, description="Peak learning rate.")
    lr_scheduler: Literal["cosine", "linear", "constant"] = Field("cosine", description="Course of the learning rate.")
    warmup: Fraction = Field(0.03, description="Share of the steps spent warming up.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    epochs: float = Field(3.0, gt=0, description="Passes over the training rows.")
    max_steps: int = Field(0, ge=0, description="Stop after so many optimiser steps; 0: `epochs` decides.")
    eval_steps: int = Field(
        1000,
        ge=1,
        description="Optimiser steps between evaluations on the validation rows (there is always one at the end).",
    )
    save_steps: int = Field(200, ge=1, description="Optimiser steps between checkpoints.")
    seed: int = Field(20261124, description="Seed of the adapter's weights and the order of the rows.")


class Evaluate(Section):
    """Evaluation."""

    max_new_tokens: int = Field(
        64, ge=16, description="Free generation stops here if the model does not stop by itself."
    )
    batch_size: int = Field(16, ge=1, description="Rows at once for the transformers variants.")


class Export(Section):
    """Handing the supervised rows on (`snakemake … export`)."""

    leave_out_restricted: bool = Field(
        False, description="Leave out the rows of sources with `redistribute: false`, instead of refusing the export."
    )


class Report(Section):
    """The report."""

    title: str = Field("MindGauge", description="Heading of the report.")
    notice: str = Field("", description="A notice on top of the report, for example that the data are synthetic.")


class Model(Section):
    """A stanza of models.yaml."""

    hub: str | None = Field(
        None,
        description="Hub id of the base model; its commit and files are pinned in config/models.lock.yaml at the first fetch.",
    )
    path: str | None = Field(None, description="A local directory with the base model, instead of `hub`.")
    licence: str = Field(description="Licence of the base model.")
    family: Literal["deepseek-r1", "qwen3", "llama3", "gemma3", "mistral"] = Field(
        description="Template family: config/templates/<family>.jinja."
    )
    context: int = Field(
        2048,
        ge=256,
        description="Longest prompt and answer in tokens; longer rows are shortened inside the text and counted.",
    )
    quants: list[Quant] | None = Field(None, description="Quants of this model; as `quants` of the config if absent.")
    train: dict[str, Any] = Field({}, description="Training numbers of this model, over those of the section `train`.")


class Config(Section):
    """config.yaml with its overlays."""

    sources: dict[Name, Source] = Field(description="The corpora by name.")
    data: Data = Field(Data(), description="Minimising and splitting.")
    label: Label = Field(Label(), description="The labeller.")
    sft: Sft = Field(Sft(), description="The supervised rows.")
    train: Train = Field(Train(), description="Training numbers for all models.")
    quants: list[Quant] = Field(["Q4_K_M"], min_length=1, description="What every model is quantised to.")
    evaluate: Evaluate = Field(Evaluate(), description="Evaluation.")
    export: Export = Field(Export(), description="Handing the supervised rows on.")
    report: Report = Field(Report(), description="The report.")
    models: list[Name] = Field(min_length=1, description="Which stanzas of models.yaml `all` builds.")
    extra_models: dict[Name, Model] = Field({}, description="Stanzas beside those of models.yaml, for overlays.")
    labels: str = Field("config/labels.yaml", description="The label scheme.")
    prompt: str = Field(
        "config/prompts/min_instruction.txt", description="The instruction; a template filled from the scheme."
    )
    store: str = Field(
        "results/.store", description="Where entries are kept; MINDGAUGE_STORE in the environment overrides it."
    )
    store_group: bool = Field(False, description="Share the store with your group (2770 instead of 0700).")


def _dotted(parts: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in parts if not str(part).startswith(("function-", "constrained-")))


def _section_at(model: type[BaseModel], parts: tuple[Any, ...]) -> type[BaseModel] | None:
    """The section a path of keys leads to."""
    current: Any = model
    for part in parts:
        if isinstance(current, type) and issubclass(current, BaseModel):
            if part not in current.model_fields:
                return None
            current = current.model_fields[part].annotation
        elif getattr(current, "__args__", None):  # a mapping of sections
            current = current.__args__[-1]
        else:
            return None
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _remedy(model: type[BaseModel], error: Any) -> str:
    """What to write instead, for one finding of pydantic."""
    parts = error["loc"]
    if error["type"] == "extra_forbidden":
        section = _section_at(model, parts[:-1])
        valid = list(section.model_fields) if section else []
        near = difflib.get_close_matches(str(parts[-1]), valid, 1, 0.5)
        return (f"{near[0]}   (" if near else "(") + f"valid here: {', '.join(valid)})"
    if error["type"] == "missing":
        return f"add the key {parts[-1]!r}"
    return error["msg"].replace("Input should be", "a value that is")


def _explain(model: type[BaseModel], found: ValidationError, where: str) -> UserError:
    lines = []
    for error in found.errors():
        key = _dotted(error["loc"])
        what = f"unknown key {key!r}" if error["type"] == "extra_forbidden" else f"{key!r}"
        if error["type"] not in ("extra_forbidden", "missing"):
            what += f" is {error['input']!r}"
        elif error["type"] == "missing":
            what += " is missing"
        lines.append((what, _remedy(model, error)))
    what, instead = lines[0]
    more = "".join(f"\n  also: {w}; instead: {i}" for w, i in lines[1:])
    return UserError(f"the configuration is not valid: {what}", where=where, instead=instead + more)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping. Raises UserError naming the line."""
    if not path.is_file():
        raise UserError(
            "this file does not exist", where=str(path), instead="put it there, or correct the key that names it"
        )
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise UserError(
            f"this file is not valid YAML: {error.problem}", where=f"{path}:{line}", instead="put the line right"
        ) from None
    if not isinstance(value, dict):
        raise UserError("this file holds no keys", where=str(path), instead="lines of the form `key: value`")
    return value


def _validated(model: type[Section], data: Any, where: str) -> Any:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explain(model, error, where) from None


class Settings:
    """The validated configuration: `config`, the stanzas `models`, the label scheme, and the prompt's text."""

    def __init__(
        self,
        raw: dict[str, Any],
        models_file: Path = Path("config/models.yaml"),
        where: str = "config/config.yaml and its overlays",
    ) -> None:
        """Checks everything that can be checked without reading data. Raises UserError."""
        self.config: Config = _validated(Config, raw, where)
        stanzas = read_yaml(models_file)
        self.models: dict[str, Model] = {}
        for name, stanza in stanzas.items():
            if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", str(name)):
                raise UserError(
                    f"{name!r} is no name for a model",
                    where=str(models_file),
                    instead="small letters, digits, dots and dashes",
                )
            self.models[name] = _validated(Model, stanza, f"{models_file}, {name}")
        self.models |= self.config.extra_models
        for name, model in self.models.items():
            if (model.hub is None) == (model.path is None):
                raise UserError(
                    "a model needs either hub or path", where=f"{models_file}, {name}", instead="hub: <owner>/<model>"
                )
            self.train(name)
        for name in self.config.models:
            self.model(name)
        if self.config.label.backend == "llama-cpp" and not self.config.label.model:
            raise UserError(
                "the labeller llama-cpp needs a GGUF",
                where=f"{where}, label.model",
                instead="label: {backend: llama-cpp, model: /path/to/model.gguf}",
            )
        if self.config.label.backend == "file" and not self.config.label.file:
            raise UserError(
                "the labeller file needs a file",
                where=f"{where}, label.file",
                instead="label: {backend: file, file: data/raw/labels.jsonl}",
            )
        if self.config.sft.val + self.config.sft.test >= 1:
            raise UserError(
                "nothing is left to train on",
                where=f"{where}, sft.val and sft.test",
                instead="shares that leave most groups to training, such as 0.05 and 0.10",
            )
        self.scheme = Scheme.from_dict(read_yaml(Path(self.config.labels)), self.config.labels)
        prompt = Path(self.config.prompt)
        if not prompt.is_file():
            raise UserError(
                "the prompt does not exist",
                where=f"{where}, prompt: {prompt}",
                instead=Config.model_fields["prompt"].default,
            )
        self.instruction = self.scheme.instruction(prompt.read_text(encoding="utf-8"))

    def model(self, name: str) -> Model:
        """The stanza of a model. Raises UserError listing the valid names."""
        if name not in self.models:
            near = difflib.get_close_matches(name, self.models, 1, 0.5)
            raise UserError(
                f"there is no model {name!r}",
                where="config/models.yaml",
                instead=(f"{near[0]}   (" if near else "(") + f"valid models: {', '.join(self.models)})",
            )
        return self.models[name]

    def train(self, name: str) -> dict[str, Any]:
        """The training numbers of a model: the section `train` with what its stanza sets."""
        merged = {**self.config.train.model_dump(), **self.models[name].train}
        return _validated(Train, merged, f"config/models.yaml, {name}.train").model_dump()

    def quants(self, name: str) -> list[str]:
        """The quants of a model."""
        return list(self.model(name).quants or self.config.quants)

    def quant(self, name: str, quant: str) -> str:
        """The quant, if it is one llama.cpp makes here. Raises UserError listing the valid ones."""
        valid = Quant.__args__  # type: ignore[attr-defined]
        if quant not in valid:
            raise UserError(
                f"there is no quant {quant!r}", where=f"a target of {name}", instead=f"one of {', '.join(valid)}"
            )
        return quant
