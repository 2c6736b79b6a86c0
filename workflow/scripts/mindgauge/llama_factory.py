"""The same training for LLaMA-Factory: a model's stanza and the section `train` in its words (examples/train_lora/*.yaml there).

One table says what each option is called there, or why it has no counterpart; the file, its documentation and its test follow from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

# The version that the names are held against (tests/llama_factory/arguments.json).
VERSION = "0.9.5"
DATASET, VALIDATION = "sft_student_mental", "sft_student_mental_val"
# Which of its templates puts the tokens that a family's puts before the answer (tests/llama_factory/loads.py compares them).
TEMPLATES: dict[str, dict[str, Any]] = {
    "deepseek-r1": {"template": "deepseek3"},
    "qwen3": {"template": "qwen3", "enable_thinking": False},
    "qwen3-instruct": {"template": "qwen3_nothink"},
    "llama3": {"template": "llama3"},
    "gemma3": {"template": "gemma"},
    "mistral": {"template": "mistral"},
}


@dataclass(frozen=True)
class There:
    """What an option is called there: `names`, and the values they take (the option's own, if `give` is None). No name: it has no
    counterpart, and `note` says why."""

    names: tuple[str, ...] = ()
    note: str = ""
    give: Callable[[Any], dict[str, Any]] | None = None

    def values(self, value: Any) -> dict[str, Any]:
        """The keys and values there for a value here."""
        return self.give(value) if self.give else dict.fromkeys(self.names, value)


NF4 = {"quantization_bit": 4, "quantization_method": "bnb", "quantization_type": "nf4"}
# Every option of the section `train`, a line each.
TRAIN: dict[str, There] = {
    "lora_r": There(("lora_rank",)),
    "lora_alpha": There(("lora_alpha",)),
    "lora_dropout": There(("lora_dropout",)),
    "use_rslora": There(("use_rslora",)),
    "use_dora": There(("use_dora",)),
    "target_modules": There(
        ("lora_target",),
        "`all` stands for `all-linear`; a list is joined by commas",
        lambda of: {"lora_target": {"all-linear": "all"}.get(of, of) if isinstance(of, str) else ",".join(of)},
    ),
    "load_in_4bit": There(
        tuple(NF4), "all three when it is on, none when it is off", lambda of: dict(NF4) if of else {}
    ),
    "double_quant": There(("double_quantization",)),
    "upcast": There(
        ("upcast_layernorm", "upcast_lmhead_output"),
        "`norms` and `lm_head`; there the head's output is cast, not the head",
        lambda of: {"upcast_layernorm": "norms" in of, "upcast_lmhead_output": "lm_head" in of},
    ),
    "precision": There(("bf16",), "`auto` is bf16: meant for a GPU", lambda of: {"bf16": of != "fp32"}),
    "attention": There(
        ("flash_attn",),
        "`eager` here is `disabled` there",
        lambda of: {"flash_attn": {"eager": "disabled"}.get(of, of)},
    ),
    "batching": There(
        note="always padded: its `neat_packing` keeps rows apart as `packed` does, but cuts them to `cutoff_len` together, so that a step has another number of rows",
    ),
    "batch_size": There(("per_device_train_batch_size", "per_device_eval_batch_size")),
    "gradient_accumulation": There(("gradient_accumulation_steps",)),
    "max_samples": There(
        ("max_samples",),
        "0 here is left out there; there the first ones are taken, of the validation rows too, here some are drawn",
        lambda of: {"max_samples": of} if of else {},
    ),
    "class_weights": There(note="its loss weighs all rows alike; `sft.oversample_risk` stands in the rows themselves"),
    "optimiser": There(("optim",)),
    "learning_rate": There(("learning_rate",)),
    "lr_scheduler": There(("lr_scheduler_type",)),
    "warmup": There(("warmup_ratio",), "a share of the steps in both"),
    "weight_decay": There(("weight_decay",)),
    "max_grad_norm": There(("max_grad_norm",)),
    "neftune_noise_alpha": There(
        ("neftune_noise_alpha",),
        "0 here is left out there",
        lambda of: {"neftune_noise_alpha": of} if of else {},
    ),
    "epochs": There(("num_train_epochs",)),
    "max_steps": There(("max_steps",), "0 here is -1 there", lambda of: {"max_steps": of or -1}),
    "eval_steps": There(("eval_steps",), "with `eval_strategy: steps`"),
    "save_steps": There(("save_steps",)),
    "early_stopping": There(
        ("early_stopping_steps", "load_best_model_at_end", "metric_for_best_model"),
        "evaluations in both; 0 here is left out there",
        lambda of: (
            {"early_stopping_steps": of, "load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
            if of
            else {}
        ),
    ),
    "seed": There(("seed", "data_seed")),
    "deterministic": There(("full_determinism",)),
    "activation_checkpointing": There(
        ("disable_gradient_checkpointing",),
        "`off` is true; `auto` is on there",
        lambda of: {"disable_gradient_checkpointing": of == "off"},
    ),
    "gpus": There(
        note="of the job it is started in: `FORCE_TORCHRUN=1 llamafactory-cli train …` takes all that it sees"
    ),
    "nodes": There(note="`NNODES`, `NODE_RANK` and `MASTER_ADDR` in the environment there"),
    "parallel": There(note="ddp; its examples/accelerate has configurations of FSDP"),
    "tracker": There(("report_to",)),
}
# What is the same for every model, as training has it here.
ALWAYS: dict[str, Any] = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "dataset_dir": "results/sft",
    "dataset": DATASET,
    "logging_steps": 5,
    "save_total_limit": 2,
    "plot_loss": True,
    "overwrite_output_dir": True,
}
# What of a stanza goes where.
STANZA = {
    "hub, path": There(("model_name_or_path",), "`results/base/<model>`, the pinned base"),
    "family": There(("template", "enable_thinking"), "as TEMPLATES of `llama_factory.py`"),
    "context": There(("cutoff_len",), "there a longer row loses its end, here the oldest words of its text"),
}


def recipe(
    *, model: str, base: str, family: str, context: int, train: Mapping[str, Any], validation: bool
) -> dict[str, Any]:
    """The arguments of `llamafactory-cli train` for a model; `base` is the stanza whose base it starts from, `validation` whether
    there are validation rows."""
    found = {
        "model_name_or_path": f"results/base/{base}",
        **ALWAYS,
        **TEMPLATES[family],
        "cutoff_len": context,
        "output_dir": f"saves/{model}/lora/sft",
    }
    for name, of in TRAIN.items():
        found |= of.values(train[name])
    if train["early_stopping"]:  # the best is among those that were saved
        found["save_steps"] = found["eval_steps"]
    evaluation = {"eval_steps", "per_device_eval_batch_size", *TRAIN["early_stopping"].names}
    if validation:
        return {**found, "eval_dataset": VALIDATION, "eval_strategy": "steps"}
    return {name: value for name, value in found.items() if name not in evaluation}


def text(arguments: Mapping[str, Any], model: str) -> str:
    """The arguments as a YAML file."""
    head = (
        f"# {model} for LLaMA-Factory {VERSION}, with the recipe it has here (docs/llama-factory.md). From the root of this clone:\n"
        f"#   llamafactory-cli train results/models/{model}/train_{model}_lora.yaml\n"
    )
    return head + yaml.safe_dump(dict(arguments), sort_keys=False, allow_unicode=True)


def reference() -> str:
    """The text of docs/llama-factory-keys.md: every option both ways."""
    rows = [
        *((f"`{name}` of the stanza", of) for name, of in STANZA.items()),
        *((f"`train.{name}`", of) for name, of in TRAIN.items()),
    ]
    lines = [
        "# Options here and in LLaMA-Factory\n",
        "Made from `workflow/scripts/mindgauge/llama_factory.py` by `python workflow/scripts/document_config.py`; a test keeps it in step.",
        f"The names there are those of LLaMA-Factory {VERSION}. [How to use it](llama-factory.md).\n",
        "## From here to there\n\n| here | there | note |\n|---|---|---|",
    ]
    for here, of in rows:
        there = ", ".join(f"`{name}`" for name in of.names) or "no counterpart"
        lines.append(f"| {here} | {there} | {of.note} |")
    lines.append("\n## From there to here\n\n| there | here |\n|---|---|")
    back = {name: here for here, of in rows for name in of.names}
    back |= {
        name: f"always `{str(value).lower() if isinstance(value, bool) else value}`" for name, value in ALWAYS.items()
    }
    back |= {
        "eval_dataset": f"`{VALIDATION}`, the validation rows of `results/sft`; never `val_size`, which would deal them anew by row",
        "eval_strategy": "`steps`, where there are validation rows",
        "output_dir": "`saves/<model>/lora/sft`; here `results/models/<model>/adapter`",
    }
    lines += [f"| `{name}` | {here} |" for name, here in sorted(back.items())]
    return "\n".join(lines) + "\n"
