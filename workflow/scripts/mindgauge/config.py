"""The configuration, typed: one source for checks, defaults, the JSON schemas and the option reference.

Every model forbids unknown keys; `load` turns pydantic's findings into one message a finding: the key, the value, what is
allowed, and the nearest valid key.
"""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mindgauge.backends import BACKENDS
from mindgauge.errors import UserError
from mindgauge.gates import Gates
from mindgauge.labels import Scheme
from mindgauge.quants import AUTO, QUANTS, WITH_IMATRIX, WITHOUT_IMATRIX, Full, Quant
from mindgauge.readers.psysuicide import CLASSES

Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]
Reader = Literal["cpsycound", "cpsycoune", "psyqa", "smile", "psysuicide", "alpaca", "messages", "table"]
Family = Literal["deepseek-r1", "qwen3", "qwen3-instruct", "llama3", "gemma3", "mistral"]


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
    classes: dict[str, str | None] = Field(
        CLASSES,
        description="For `psysuicide`: which value of `risk_flag` a class of the set stands for; single ones are laid over the default. When several hold, `suicidal` goes before `self_harm` before `violence`. `null`: a text with no other class is left out of the gold: exploration (关于自杀的探索) asks about the subject and states no intent; of aggression by others (他人攻击行为) the writer is the victim, while `risk_flag` is about the student's own acts.",
    )

    @field_validator("classes")
    @classmethod
    def _over_default(cls, given: dict[str, str | None]) -> dict[str, str | None]:
        return {**CLASSES, **given}

    @property
    def names(self) -> dict[str, Any]:
        """What its reader is told of the source's own names."""
        return dict(self.classes if self.reader == "psysuicide" else self.columns)


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
    withdrawn: str = Field(
        "data/raw/withdrawn.txt",
        description="The records that may not be used any more, an id a line; `make forget` writes it. It need not be there. Keep it private and out of version control.",
    )


Backend = Literal["keywords", "llama-cpp", "transformers", "openai", "file"]


class Voter(Section):
    """One labeller. What it reads depends on its backend; the rest is left at its default."""

    backend: Backend = Field(
        "keywords",
        description="Who labels: the embedded keyword rules; a local GGUF in process; a local model directory by transformers; a server with OpenAI's interface (vLLM, llama-server …); or a file of labels you have.",
    )
    model: str | None = Field(
        None,
        description="`llama-cpp`: path of the GGUF. `transformers`: the model's directory. `openai`: the name by which the server knows the model.",
    )
    url: str | None = Field(
        None,
        description="`openai`: the server, such as http://localhost:8000/v1. A key is read from OPENAI_API_KEY. The address is not part of what decides a label, the name of the model is.",
    )
    file: str | None = Field(None, description="`file`: JSONL with `id` (or `text`, word for word) and the labels.")
    prompt: str | None = Field(None, description="Another instruction for this labeller than `prompt` of the config.")
    context: int = Field(
        4096, ge=512, description="Longest prompt and answer in tokens; longer texts lose their beginning."
    )
    decoding: Literal["constrained", "free"] = Field(
        "constrained",
        description="`constrained`: over exactly the valid answers, with a probability for each value; `free`: greedy generation, parsed and if need be repaired, failures counted.",
    )
    server_grammar: Literal["schema", "gbnf"] = Field(
        "schema",
        description="`openai`, constrained: how the server is held to the valid answers, by JSON schema (most servers) or by llama-server's grammar.",
    )
    thinking: bool = Field(
        False, description="Let a reasoning model think before its answer; otherwise reasoning is switched off."
    )
    max_thought: int = Field(1024, ge=1, description="Longest reasoning in tokens; it is cut there.")
    temperature: float = Field(
        0.0,
        ge=0,
        description="0: the likeliest value; above it values are drawn, so that seeds make voters of one model.",
    )
    seed: int = Field(0, description="Seed of the drawing.")
    batch_size: int = Field(16, ge=1, description="Records at once in the models' own backends.")
    concurrency: int = Field(16, ge=1, description="`openai`: requests under way at once.")
    timeout: float = Field(120.0, gt=0, description="`openai`: seconds until a request is given up and tried again.")
    retries: int = Field(5, ge=0, description="`openai`: how often a request is tried again, with growing pauses.")


class Label(Voter):
    """The labeller, or several that vote. The keys of a voter set here hold for all voters that do not set them."""

    shards: int = Field(
        1,
        ge=1,
        le=256,
        description="Into how many jobs the labelling is dealt; on a cluster each may have its own GPU. A record's shard follows from its id.",
    )
    voters: list[dict[str, Any]] = Field(
        [],
        description="Several labellers: a list of keys of a voter each, over those set here. Empty: one labeller.",
        examples=[[{"seed": 1}, {"seed": 2}, {"backend": "keywords"}]],
    )
    vote: Literal["majority", "median"] = Field(
        "majority",
        description="How several voters decide: by majority; or ordinal labels by their median, nominal ones by majority.",
    )
    min_confidence: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Records of less confidence go to results/labels/needs_review.csv. The confidence of a nominal label is the mean probability (without probabilities: share of votes) of its value, of an ordinal one that of its value and its neighbours; of a record the least of its labels'.",
    )
    doubtful: Literal["keep", "leave_out"] = Field(
        "leave_out", description="Whether records below `min_confidence` are trained on. They stay in test."
    )
    audit_per_class: int = Field(
        20,
        ge=0,
        description="Records of each value of the alarming label in results/labels/audit.csv, a sheet for human labels.",
    )


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
    oversample_risk: int = Field(
        1,
        ge=1,
        description="How often each row of an alarming class stands in the training rows; never in val, test or gold.",
    )
    seed: int = Field(20261124, description="Seed of the split.")


class Train(Section):
    """Training numbers; every one can be set for a single model in its stanza."""

    lora_r: int = Field(16, ge=1, description="Rank of LoRA.")
    lora_alpha: int = Field(32, ge=1, description="Scale of LoRA: what it adds is multiplied by alpha / r.")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="Dropout of LoRA.")
    use_rslora: bool = Field(
        False, description="Rank-stabilised LoRA: multiplied by alpha / sqrt(r), so that high ranks learn as well."
    )
    use_dora: bool = Field(
        False, description="DoRA: the magnitude of each weight's columns is learned apart. Slower by a half or more."
    )
    target_modules: str | list[str] = Field(
        "all-linear", description="Which linear layers LoRA adapts; never the embeddings or the output head."
    )
    load_in_4bit: bool = Field(
        False, description="Train over an NF4 base (bitsandbytes). Merging always uses the full-precision base."
    )
    double_quant: bool = Field(True, description="Of an NF4 base quantise the quantisation's constants, too.")
    upcast: list[Literal["norms", "lm_head"]] = Field(
        [],
        description="Parts of the frozen base held in fp32 while training; `norms` steadies an NF4 base. Where a model shares its embeddings with its head, `lm_head` holds both so.",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="Compute precision; `auto` is bf16 on a GPU that has it, and fp32 elsewhere."
    )
    attention: Literal["auto", "sdpa", "eager"] = Field(
        "auto",
        description="How attention is computed: `sdpa`, PyTorch's own, which picks the kernel by the hardware; `eager`; or `auto`: sdpa, but for architectures that need eager (Gemma 2).",
    )
    batching: Literal["packed", "padded"] = Field(
        "packed",
        description="`packed`: the rows of a step follow one another without padding and without seeing each other, and the beginning they share (the instruction) is evaluated once. `padded`: as TRL does it.",
    )
    batch_size: int = Field(
        8, ge=1, description="Rows at once on one device; halved when memory runs out, and accumulated the longer."
    )
    gradient_accumulation: int = Field(
        4,
        ge=1,
        description="Batches whose gradients are summed before a step; shared by the GPUs where there are several.",
    )
    max_samples: int = Field(
        0, ge=0, description="Train on so many of the training rows, drawn by `seed`; 0: on all of them."
    )
    class_weights: Literal["none", "balanced", "sqrt"] = Field(
        "none",
        description="Weigh each row's loss by how rare its value of the alarming label is in the training rows: n / (classes x n of the class), or its square root. `sft.oversample_risk` repeats rows instead.",
    )
    optimiser: Literal["adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit", "adafactor"] = Field(
        "adamw_torch_fused", description="The optimiser; those with 8 bits (bitsandbytes) spare memory."
    )
    learning_rate: float = Field(1e-4, gt=0, description="Peak learning rate.")
    lr_scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        "cosine", description="Course of the learning rate."
    )
    warmup: Fraction = Field(0.03, description="Share of the steps spent warming up.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    neftune_noise_alpha: float = Field(
        0.0, ge=0, description="NEFTune: noise of this scale on the embeddings while training; 5 is usual, 0 none."
    )
    epochs: float = Field(3.0, gt=0, description="Passes over the training rows.")
    max_steps: int = Field(0, ge=0, description="Stop after so many optimiser steps; 0: `epochs` decides.")
    eval_steps: int = Field(
        1000,
        ge=1,
        description="Optimiser steps between evaluations on the validation rows (there is always one at the end).",
    )
    save_steps: int = Field(200, ge=1, description="Optimiser steps between checkpoints.")
    early_stopping: int = Field(
        0,
        ge=0,
        description="Stop after so many evaluations without a better validation loss, and take the best adapter; checkpoints are then made at every evaluation. 0: train to the end and take the last.",
    )
    seed: int = Field(20261124, description="Seed of the adapter's weights and the order of the rows.")
    deterministic: bool = Field(
        False,
        description="Only deterministic algorithms on a GPU, so that the same GPU gives the same bytes; slower. On a CPU it is so anyway.",
    )
    activation_checkpointing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compute activations again instead of keeping them: less memory, a third more time. `auto`: where `site.gpu_memory_gib` says by the estimate that the GPU would not hold them, or memory runs out.",
    )
    gpus: int = Field(
        1,
        ge=1,
        description="GPUs of one training job; the rows of a step are dealt to them. Divides `gradient_accumulation` or `batch_size`.",
    )
    nodes: int = Field(1, ge=1, description="Nodes of one training job, with `gpus` each.")
    parallel: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="With several GPUs: each holds the whole base (`ddp`), or a share of it (`fsdp`, for a base that one cannot hold).",
    )
    tracker: Literal["none", "tensorboard", "wandb", "mlflow", "trackio"] = Field(
        "none",
        description="Where the course of training is also written, below results/tracking; `wandb` offline. `tensorboard` is installed; for another: .venv/bin/pip install wandb, trackio, or mlflow-skinny alembic sqlalchemy for mlflow.",
    )

    @field_validator("target_modules")
    @classmethod
    def _no_head(cls, given: str | list[str]) -> str | list[str]:
        for name in [given] if isinstance(given, str) else given:
            if re.search(r"lm_head|embed", name):
                raise ValueError("layers without lm_head and embeddings, which small models share")
        return given

    @model_validator(mode="after")
    def _fits_batching(self) -> "Train":
        if self.neftune_noise_alpha and self.batching == "packed":
            raise ValueError("batching: padded beside neftune_noise_alpha, whose noise goes by the length of a row")
        if self.class_weights != "none" and self.batching == "padded":
            raise ValueError("batching: packed beside class_weights, since TRL's own loss knows of none")
        return self


# What changes a training's pace, or where it is written down, and not what comes out: no part of its key.
TRAIN_PACE = ("activation_checkpointing", "gpus", "nodes", "parallel", "tracker")


class Quantise(Section):
    """Quantising."""

    full: Full = Field(
        "f16",
        description="The GGUF that quants are made from: f16 answers closer to the merged model, bf16 holds its weights exactly.",
    )
    imatrix: bool = Field(
        True,
        description="Weigh rounding errors by an importance matrix: how much each column of the weights is driven by training rows (never by val or test). Q8_0 has no use for it.",
    )
    imatrix_rows: int = Field(256, ge=1, description="Training rows that the importance matrix is collected from.")
    imatrix_seed: int = Field(20261124, description="Seed of their choice.")
    auto: list[str] = Field(
        ["Q4_K_M", "Q4_K_L", "Q5_K_M", "Q8_0"],
        min_length=1,
        description="What the quant `AUTO` tries, in this order, until one passes the gates that hold it against the merged model, on validation rows; the last if none does. `<quant>+imatrix` takes the importance matrix even where `imatrix` is false.",
    )

    @field_validator("auto")
    @classmethod
    def _known(cls, given: list[str]) -> list[str]:
        for name in given:
            quant = name.removesuffix(WITH_IMATRIX)
            if quant not in QUANTS or (quant != name and quant in WITHOUT_IMATRIX):
                raise ValueError(f"{name!r} is none of {', '.join(QUANTS)} (or one of them with {WITH_IMATRIX})")
        return given


class Evaluate(Section):
    """Evaluation."""

    max_new_tokens: int = Field(
        64, ge=16, description="Free generation stops here if the model does not stop by itself."
    )
    batch_size: int = Field(16, ge=1, description="Rows at once.")
    false_alarms: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="The false-alarm rate at which the recall of any risk is also given, from the probabilities.",
    )
    fidelity_rows: int = Field(
        64, ge=1, description="Test rows on which every GGUF is held against the merged model token by token."
    )
    urgent: list[str] = Field(
        ["suicidal", "self_harm"],
        description="Values of the alarming label that need someone at once; reported together.",
    )


class Bench(Section):
    """What each GGUF takes on a few cores, as on a phone."""

    prompt_tokens: int = Field(600, ge=1, description="Length of the prompt; shorter where the context has less room.")
    generated_tokens: int = Field(32, ge=1, description="Tokens generated after it; an answer has about 32.")
    threads: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 2, 4],
        min_length=1,
        description="Numbers of threads. Those beyond the cores that can be used are left out, and the report says so.",
    )
    repetitions: int = Field(5, ge=1, description="Runs, of which the median and the spread are told.")


class Export(Section):
    """Handing the supervised rows on (`snakemake … export`)."""

    leave_out_restricted: bool = Field(
        False, description="Leave out the rows of sources with `redistribute: false`, instead of refusing the export."
    )


class Bundle(Section):
    """The bundle."""

    despite_gates: list[str] = Field(
        [],
        description="Models, or `<model>/<quant>`, that are bundled though their gates say fail; the bundle says so. Others are refused.",
    )


class Report(Section):
    """The report."""

    title: str = Field("MindGauge", description="Heading of the report.")
    notice: str = Field("", description="A notice on top of the report, for example that the data are synthetic.")
    price_per_gpu_hour: float | None = Field(
        None, ge=0, description="What an hour of your GPU costs; with it the report estimates the cost of training."
    )
    currency: str = Field("USD", description="The currency of that price.")
    watts_per_gpu: float | None = Field(
        None, gt=0, description="Mean power draw of your GPU under load, in watts; with it the report estimates energy."
    )


class Site(Section):
    """The machines that jobs are sent to."""

    gpu_memory_gib: float | None = Field(
        None,
        gt=0,
        description="Memory of the GPU that training asks for, in GiB (`nvidia-smi` tells; an A40 has 45, 48 GB by name). With it a training that would not fit is told before it is queued, with what would, and refused where smaller batches alone do not help.",
    )


class Model(Section):
    """A stanza of models.yaml."""

    hub: str | None = Field(
        None,
        description="Hub id of the base model; its commit and files are pinned in config/models.lock.yaml at the first fetch.",
    )
    path: str | None = Field(None, description="A local directory with the base model, instead of `hub`.")
    licence: str = Field(description="Licence of the base model.")
    family: Family = Field(
        description="Template family: config/templates/<family>.jinja. `qwen3` for the hybrid models, `qwen3-instruct` for Instruct-2507, which never thinks; `gemma3` for Gemma 2, too."
    )
    context: int = Field(
        2048,
        ge=256,
        description="Longest prompt and answer in tokens; longer rows are shortened inside the text and counted.",
    )
    seeds: list[int] | None = Field(
        None,
        min_length=2,
        description="Train once with each of these seeds, as models `<name>-seed<n>`; the report tells how far their figures differ.",
    )
    quants: list[Quant | Literal["AUTO"]] | None = Field(
        None, description="Quants of this model; as `quants` of the config if absent."
    )
    full: Full | None = Field(None, description="As `quantise.full` of the config if absent.")
    train: dict[str, Any] = Field({}, description="Training numbers of this model, over those of the section `train`.")
    minutes: int = Field(
        720,
        ge=1,
        description="Wall time of a training job on a cluster. When it is up training saves a checkpoint, and the job submitted next goes on from there. No artifact depends on it.",
    )


class Config(Section):
    """config.yaml with its overlays."""

    sources: dict[Name, Source] = Field(description="The corpora by name.")
    data: Data = Field(Data(), description="Minimising and splitting.")
    label: Label = Field(Label(), description="The labeller.")
    sft: Sft = Field(Sft(), description="The supervised rows.")
    train: Train = Field(Train(), description="Training numbers for all models.")
    quants: list[Quant | Literal["AUTO"]] = Field(
        ["Q4_K_M"],
        min_length=1,
        description="What every model is quantised to. `AUTO` stands for the first of `quantise.auto` that passes; `Q4_K_L` and `Q5_K_L` keep embeddings and output at Q8_0.",
    )
    quantise: Quantise = Field(Quantise(), description="Quantising.")
    evaluate: Evaluate = Field(Evaluate(), description="Evaluation.")
    gates: Gates = Field(Gates(), description="What decides `release: pass` or `fail`.")
    bench: Bench = Field(Bench(), description="Speed and memory of each GGUF.")
    bundle: Bundle = Field(Bundle(), description="The bundle.")
    export: Export = Field(Export(), description="Handing the supervised rows on.")
    report: Report = Field(Report(), description="The report.")
    site: Site = Field(Site(), description="The machines that jobs are sent to.")
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


# What a backend cannot do without.
NEEDED: dict[str, tuple[str, ...]] = {
    "keywords": (),
    "llama-cpp": ("model",),
    "transformers": ("model",),
    "openai": ("url", "model"),
    "file": ("file",),
}
EXAMPLES = {
    ("llama-cpp", "model"): "/path/to/model.gguf",
    ("transformers", "model"): "/path/to/Qwen3-8B",
    ("openai", "model"): "Qwen/Qwen3-8B",
    ("openai", "url"): "http://localhost:8000/v1",
    ("file", "file"): "data/raw/labels.jsonl",
}


def _decides(voter: Voter) -> dict[str, Any]:
    """What a labeller's answers follow from: not its pace, and no seed where nothing is drawn."""
    options = BACKENDS[voter.backend]
    held = {
        *options.decide,
        "backend",
        *([options.reads] if options.reads else []),
        *(["prompt"] if options.prompted else []),
    }
    return voter.model_dump(include=held - ({"seed"} if voter.temperature == 0 else set()))


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


def overlaid(overlays: Iterable[Path], base: Path = Path("config/config.yaml")) -> dict[str, Any]:
    """config.yaml with overlays over it, as Snakemake lays them. Raises UserError."""
    from snakemake.utils import update_config

    found = read_yaml(base)
    for overlay in overlays:
        update_config(found, read_yaml(overlay))
    return found


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
        self.seeded: dict[str, dict[str, int]] = {}
        for name, model in list(self.models.items()):
            if model.seeds:
                self._seed(name, model, f"{models_file}, {name}.seeds")
        for name, model in self.models.items():
            if (model.hub is None) == (model.path is None):
                raise UserError(
                    "a model needs either hub or path", where=f"{models_file}, {name}", instead="hub: <owner>/<model>"
                )
            if name not in self.seeded:
                self.train(name)
        for name in self.config.models:
            self.model(name)
        self.names = [each for name in self.config.models for each in self.seeded.get(name, [name])]
        self._check_bundles(f"{where}, bundle.despite_gates")
        if self.config.sft.val + self.config.sft.test >= 1:
            raise UserError(
                "nothing is left to train on",
                where=f"{where}, sft.val and sft.test",
                instead="shares that leave most groups to training, such as 0.05 and 0.10",
            )
        self.scheme = Scheme.from_dict(read_yaml(Path(self.config.labels)), self.config.labels)
        for name, source in self.config.sources.items():
            if source.reader == "psysuicide":
                self._check_classes(source, f"{where}, sources.{name}.classes")
        self.instruction = self._instruction(self.config.prompt, f"{where}, prompt")
        self.voters = self._voters(where)

    def _seed(self, name: str, model: Model, where: str) -> None:
        """Adds the models that a stanza with several seeds stands for. Raises UserError."""
        seeds = model.seeds or []
        if "seed" in model.train:
            raise UserError("a model has both seeds and train.seed", where=where, instead="one of the two")
        if len(set(seeds)) < len(seeds):
            raise UserError("a seed stands twice", where=where, instead="seeds that differ, such as [1, 2, 3]")
        self.seeded[name] = {f"{name}-seed{seed}": seed for seed in seeds}
        for derived, seed in self.seeded[name].items():
            if derived in self.models:
                raise UserError(f"there is a model {derived!r} already", where=where, instead="another name for it")
            self.models[derived] = model.model_copy(update={"seeds": None, "train": {**model.train, "seed": seed}})

    def _check_bundles(self, where: str) -> None:
        """Raises UserError for a bundle of no model there is; it need not be one of those built."""
        models = [name for name in self.models if name not in self.seeded]
        known = [each for name in models for each in (name, *(f"{name}/{quant}" for quant in self.quants(name)))]
        for name in self.config.bundle.despite_gates:
            if name not in known:
                near = "".join(f"{one}   " for one in difflib.get_close_matches(name, known, 1, 0.5))
                raise UserError(
                    f"there is no model or bundle {name!r}",
                    where=where,
                    instead=f"{near}(valid here: {', '.join(known)})",
                )

    def stanza(self, name: str) -> str:
        """The stanza a model comes from: its own, or the one with several seeds."""
        return next((stanza for stanza, of in self.seeded.items() if name in of), name)

    def _instruction(self, prompt: str, where: str) -> str:
        if not Path(prompt).is_file():
            raise UserError(
                "the prompt does not exist", where=f"{where}: {prompt}", instead=Config.model_fields["prompt"].default
            )
        return self.scheme.instruction(Path(prompt).read_text(encoding="utf-8"), prompt)

    def _voters(self, where: str) -> dict[str, Voter]:
        """The labellers by name (`0-keywords`, `1-llama-cpp` …). Raises UserError for one that lacks what its backend needs, or
        that is another one again."""
        label = self.config.label.model_dump(include=set(Voter.model_fields))
        found: dict[str, Voter] = {}
        for number, own in enumerate(self.config.label.voters or [{}]):
            at = f"{where}, label" + (f".voters[{number}]" if self.config.label.voters else "")
            voter: Voter = _validated(Voter, {**label, **own}, at)
            for key in NEEDED[voter.backend]:
                if not getattr(voter, key):
                    raise UserError(
                        f"the labeller {voter.backend} needs {key}",
                        where=f"{at}.{key}",
                        instead=f"{key}: {EXAMPLES[voter.backend, key]}",
                    )
            if any(_decides(voter) == _decides(other) for other in found.values()):
                raise UserError(
                    "two voters are the same, so their agreement would say nothing",
                    where=at,
                    instead="another model, another prompt, or a temperature above 0 and another seed",
                )
            found[f"{number}-{voter.backend}"] = voter
        return found

    def instruction_of(self, voter: str) -> str:
        """The instruction of a labeller: its own, or the config's."""
        prompt = self.voters[voter].prompt
        return self._instruction(prompt, "label.prompt") if prompt else self.instruction

    def _check_classes(self, source: Source, where: str) -> None:
        """Raises UserError if a class is mapped on what is no value of `risk_flag`."""
        if "risk_flag" not in self.scheme.names:
            raise UserError(
                "the label scheme has no risk_flag, which is what the classes of PsySUICIDE stand for",
                where=where,
                instead=f"a label risk_flag in {self.config.labels}, or no source with the reader psysuicide",
            )
        values = self.scheme["risk_flag"].values
        for name, value in source.classes.items():
            if value is not None and value not in values:
                raise UserError(
                    f"the class {name} is mapped on {value!r}, which is no value of risk_flag",
                    where=where,
                    instead=f"one of {', '.join(map(str, values))}; or null, which leaves its texts out",
                )

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
        """The training numbers of a model: the section `train` with what its stanza sets. Raises UserError for a stanza with
        several seeds, which stands for several models."""
        if name in self.seeded:
            raise UserError(
                f"{name} is trained with several seeds",
                where=f"a target of {name}",
                instead=" or ".join(self.seeded[name]),
            )
        merged = {**self.config.train.model_dump(), **self.models[name].train}
        return _validated(Train, merged, f"config/models.yaml, {name}.train").model_dump()

    def full(self, name: str) -> str:
        """The kind of a model's GGUF that its quants are made from."""
        return self.model(name).full or self.config.quantise.full

    def quants(self, name: str) -> list[str]:
        """The quants of a model."""
        return list(self.model(name).quants or self.config.quants)

    def quant(self, name: str, quant: str) -> str:
        """The quant, if it is one llama.cpp makes here. Raises UserError listing the valid ones."""
        valid = (*QUANTS, AUTO)
        if quant not in valid:
            raise UserError(
                f"there is no quant {quant!r}", where=f"a target of {name}", instead=f"one of {', '.join(valid)}"
            )
        return quant
