"""Training: LoRA over a base model with TRL's SFTTrainer and PEFT.

Rows are tokenised here, by the same code that renders prompts for inference, and handed over as ids: the loss is on the answer and
its end token alone. Checkpoints lie in the keyed working space; a retry resumes from the last.
"""

import gc
import json
import random
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mindgauge import batches, curves, disk, distributed, fitting, progress, run_record, tracking
from mindgauge.chat import Chat, Example
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json
from mindgauge.fitting import Fit
from mindgauge.labels import Scheme
from mindgauge.progress import tell

TEMPORARY = 75  # EX_TEMPFAIL: the same job again goes on from here


class Stopped(Exception):
    """A training that was told to stop and has saved a checkpoint."""


class OutOfMemory(Exception):
    """Memory did not hold a batch."""


def examples(chat: Chat, rows: list[dict[str, Any]], context: int) -> list[Example]:
    """The rows as ids. Over-long ones are shortened inside the text and counted by the caller."""
    return [chat.example(row, context) for row in rows]


def _sampled(rows: list[dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
    """`count` of the rows in their order, drawn by `seed`; all of them if it is 0 or more than there are."""
    if not 0 < count < len(rows):
        return rows
    return [rows[n] for n in sorted(random.Random(seed).sample(range(len(rows)), count))]


def _last_checkpoint(directory: Path) -> str | None:
    """The last whole checkpoint; those that a kill or a full disk cut off are not marked WHOLE, and are removed."""
    from mindgauge.callbacks import WHOLE

    found = sorted(directory.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    while found and not (found[-1] / WHOLE).is_file():
        shutil.rmtree(found.pop(), ignore_errors=True)  # each process of several does this
    return str(found[-1]) if found else None


def _precision(numbers: dict[str, Any], cuda: bool) -> str:
    import torch

    if numbers["precision"] != "auto":
        return str(numbers["precision"])
    return "bf16" if cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def _model(base: Path, numbers: dict[str, Any], precision: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    options: dict[str, Any] = {}
    if numbers["attention"] != "auto":
        options["attn_implementation"] = numbers["attention"]
    if numbers["load_in_4bit"]:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=numbers["double_quant"],
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=dtype, local_files_only=True, **options)
    model.config.use_cache = False
    head = model.get_output_embeddings()
    for module in model.modules():
        norm = type(module).__name__.endswith("Norm")
        if (norm and "norms" in numbers["upcast"]) or (module is head and "lm_head" in numbers["upcast"]):
            module.to(torch.float32)
    return model


def _arguments(
    checkpoints: Path, numbers: dict[str, Any], fit: Fit, report_to: list[str], *, sharded: bool, evaluated: bool
) -> Any:
    """The recipe in TRL's words."""
    import torch
    from trl import SFTConfig

    cuda = torch.cuda.is_available()
    best = numbers["early_stopping"] > 0
    options: dict[str, Any] = {}
    if sharded:
        options = {
            "fsdp": "full_shard auto_wrap",
            "fsdp_config": {"fsdp_version": 2, "state_dict_type": "FULL_STATE_DICT"},
        }
    return SFTConfig(
        output_dir=str(checkpoints),
        per_device_train_batch_size=fit.batch,
        per_device_eval_batch_size=fit.batch,
        gradient_accumulation_steps=fit.accumulation,
        optim=numbers["optimiser"],
        learning_rate=numbers["learning_rate"],
        lr_scheduler_type=numbers["lr_scheduler"],
        warmup_steps=numbers["warmup"],  # below 1 it is a share of all steps
        weight_decay=numbers["weight_decay"],
        max_grad_norm=numbers["max_grad_norm"],
        neftune_noise_alpha=numbers["neftune_noise_alpha"] or None,
        num_train_epochs=numbers["epochs"],
        max_steps=numbers["max_steps"] or -1,
        eval_strategy="steps" if evaluated else "no",
        eval_steps=numbers["eval_steps"],
        save_steps=numbers["eval_steps"] if best else numbers["save_steps"],
        save_total_limit=2,
        load_best_model_at_end=best,
        metric_for_best_model="loss" if best else None,
        restore_callback_states_from_checkpoint=best,
        logging_steps=1,  # so that a resumed run has the same curve
        logging_nan_inf_filter=False,
        seed=numbers["seed"],
        data_seed=numbers["seed"],
        full_determinism=numbers["deterministic"],
        bf16=cuda and _precision(numbers, cuda) == "bf16",
        use_cpu=not cuda,
        max_length=None,  # nothing is cut: lengths were seen to before
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        activation_checkpointing=fit.checkpointing,
        ddp_find_unused_parameters=False,
        report_to=report_to,
        project="mindgauge",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=cuda,
        **options,
    )


def _save_adapter(trainer: Any, name: str, out: Path, work: Path) -> None:
    """adapter_model.safetensors and adapter_config.json, the latter with stable bytes and no path of this machine."""
    trainer.save_model(str(work / "adapter"))
    if not trainer.is_world_process_zero():
        return
    shutil.copy(work / "adapter/adapter_model.safetensors", out / "adapter_model.safetensors")
    config = json.loads((work / "adapter/adapter_config.json").read_text())
    config["base_model_name_or_path"] = name
    if isinstance(config.get("target_modules"), list):
        config["target_modules"] = sorted(config["target_modules"])  # PEFT writes a set in any order
    write_json(out / "adapter_config.json", config)


def fitted(
    sft: Path,
    base: Path,
    out: Path,
    work: Path,
    *,
    model: str,
    family: str,
    template: str,
    context: int,
    labels: dict[str, Any],
    numbers: dict[str, Any],
    tracker: str,
    sharded: bool,
    fit: Fit,
) -> None:
    """One try at a training, in this process or, under torchrun, in all of them; arguments as in `train`.

    Raises Stopped after SIGTERM or SIGUSR1 (a checkpoint is saved), OutOfMemory if a batch does not fit, and UserError.
    """
    import torch
    from accelerate.utils.memory import should_reduce_batch_size
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import EarlyStoppingCallback, PrinterCallback, enable_full_determinism, set_seed

    from mindgauge import callbacks
    from mindgauge.trainer import AnswerTrainer

    (enable_full_determinism if numbers["deterministic"] else set_seed)(numbers["seed"])
    cuda, where = torch.cuda.is_available(), f"models.yaml: {model}.train"
    chat = Chat.load(base, template, family)
    held = {name: list(read_jsonl(sft / f"{name}.jsonl")) for name in ("train", "val")}
    held["train"] = _sampled(held["train"], numbers["max_samples"], numbers["seed"])
    if not held["train"]:
        raise UserError(
            "there is no row to train on",
            where="results/sft/train.jsonl",
            instead="more data, or smaller sft.val and sft.test",
        )
    rows = {name: examples(chat, of, context) for name, of in held.items()}
    label = Scheme.from_dict(labels).alarms[0].name if numbers["class_weights"] != "none" else ""
    weights = batches.class_weights([row["output"] for row in held["train"]], label, numbers["class_weights"])
    arguments = _arguments(
        work / "checkpoints",
        numbers,
        fit,
        tracking.start(tracker, f"{model}-{work.name}"),
        sharded=sharded,
        evaluated=bool(rows["val"]),
    )
    arguments.run_name = f"{model}-{work.name}"
    if arguments.parallel_mode.value == "not_distributed":
        arguments._n_gpu = min(arguments.n_gpu, 1)  # else transformers splits each batch over all GPUs it sees
    loaded = _model(base, numbers, _precision(numbers, cuda))
    packed = numbers["batching"] == "packed"
    if chat.tokenizer.pad_token is None:
        chat.tokenizer.pad_token = chat.end  # beyond a row's end, where nothing is supervised
    trainer = AnswerTrainer(
        model=loaded,
        args=arguments,
        data_collator=batches.packer(loaded.config) if packed else None,
        train_dataset=Dataset.from_list(batches.rows_of(rows["train"], weights)),
        eval_dataset=Dataset.from_list(batches.rows_of(rows["val"], [1.0] * len(rows["val"]))) if rows["val"] else None,
        processing_class=chat.tokenizer,
        peft_config=LoraConfig(
            r=numbers["lora_r"],
            lora_alpha=numbers["lora_alpha"],
            lora_dropout=numbers["lora_dropout"],
            use_rslora=numbers["use_rslora"],
            use_dora=numbers["use_dora"],
            target_modules=numbers["target_modules"],
            task_type="CAUSAL_LM",
        ),
        callbacks=[callbacks.Progress(), callbacks.Finite(where)],
    )
    trainer.remove_callback(PrinterCallback)
    if numbers["early_stopping"]:
        trainer.add_callback(EarlyStoppingCallback(numbers["early_stopping"]))
    stop = callbacks.Stop(trainer.accelerator)
    clock = callbacks.Clock(work / "clock.json", callbacks.joules)
    trainer.add_callback(stop)
    trainer.add_callback(clock)
    trainer.add_callback(callbacks.Seal(trainer.accelerator))
    main = trainer.is_world_process_zero()
    if main:
        for name, of in rows.items():
            short = sum(example.shortened for example in of)
            print(f"{name}: {len(of)} rows, {short} shortened to {context} tokens", file=sys.stderr)
        tell(fit.describe())
    resume = _last_checkpoint(work / "checkpoints")
    if resume and main:
        tell(f"resuming from {Path(resume).name}")
    try:
        result = trainer.train(resume_from_checkpoint=resume)
    except UserError:
        raise
    except Exception as error:
        if should_reduce_batch_size(error):
            raise OutOfMemory from None
        if told := disk.told(work):  # half a checkpoint is removed by the next run
            raise told from None
        raise
    state = trainer.state
    if stop.stopped:
        raise Stopped(f"stopped at step {state.global_step}/{state.max_steps}; a retry resumes from here")
    evaluated = trainer.evaluate() if rows["val"] else {}
    _save_adapter(trainer, model, out, work)
    if not main:
        return
    took, device = clock.total(), run_record.device()
    per_row = run_record.tokens(rows["train"], fit.batch, packed)
    seen = round(float(state.epoch or 0) * len(rows["train"]))
    write_json(
        out / "train_results.json",
        {
            **result.metrics,
            "rows": len(rows["train"]),
            "shortened": sum(example.shortened for example in rows["train"]),
            "supervised_tokens": sum(len(example.completion) for example in rows["train"]),
            "steps": state.global_step,
            "best_checkpoint": Path(state.best_model_checkpoint).name if state.best_model_checkpoint else None,
        },
    )
    write_json(out / "eval_results.json", {**evaluated, "rows": len(rows["val"])})
    write_json(out / "log_history.json", state.log_history)
    curves.draw(state.log_history, out)
    trainable, total = trainer.accelerator.unwrap_model(trainer.model).get_nb_trainable_parameters()
    write_json(
        out / "run.json",
        {
            "model": model,
            "numbers": numbers,
            "family": family,
            "context": context,
            **run_record.provenance(sft, base, template),
            "seeds": {"adapter_and_order": numbers["seed"]},
            "precision": _precision(numbers, cuda),
            "fit": asdict(fit),
            "seconds": took["seconds"],
            "runs": took["runs"],
            "resumed_from": Path(resume).name if resume else None,
            "energy_joules": took["joules"],
            **device,
            "tokens_a_row": per_row,
            "rows_per_second": round(seen / took["seconds"], 3),
            "tokens_per_second": round(seen * per_row["row"] / took["seconds"], 1),
            "trainable_parameters": trainable,
            "parameters": total,
        },
    )


def train(
    sft: Path,
    base: Path,
    out: Path,
    work: Path,
    *,
    model: str,
    family: str,
    template: str,
    context: int,
    labels: dict[str, Any],
    numbers: dict[str, Any],
    pace: dict[str, Any],
) -> None:
    """Trains an adapter on train.jsonl of `sft`, evaluating on val.jsonl; `numbers` is the section `train` without what is in `pace`
    (config.TRAIN_PACE).

    On SIGTERM or SIGUSR1 it saves a checkpoint and exits with status 75; nothing is written to `out` then. Where memory runs out it goes
    on with smaller batches and as many rows a step. Raises UserError if a row does not fit the context, the loss is no number, the
    processes cannot share a step's rows, or not even one row fits the memory.
    """
    import torch

    where = f"models.yaml: {model}.train"
    processes = pace["gpus"] * pace["nodes"]
    tracking.check(pace["tracker"], f"{where}.tracker")
    if torch.cuda.is_available() and torch.cuda.device_count() < pace["gpus"]:
        raise UserError(
            f"{pace['gpus']} GPUs are asked for, and this job sees {torch.cuda.device_count()}",
            where=f"{where}.gpus",
            instead="as many as the job is given (profiles/slurm: gres)",
        )
    start = fitting.first(
        numbers["batch_size"], numbers["gradient_accumulation"], processes, pace["activation_checkpointing"], where
    )
    fit: Fit | None = fitting.kept(work / "fit.json", start)
    options = {
        "model": model,
        "family": family,
        "template": template,
        "context": context,
        "labels": labels,
        "numbers": numbers,
        "tracker": pace["tracker"],
        "sharded": pace["parallel"] == "fsdp" and processes > 1,
    }
    while fit is not None:
        fitting.keep(work / "fit.json", fit)
        try:
            if processes > 1:
                _in_processes(sft, base, out, work, fit, options, pace)
            else:
                fitted(sft, base, out, work, fit=fit, **options)
            return
        except Stopped as stopped:
            tell(str(stopped))
            raise SystemExit(TEMPORARY) from None
        except OutOfMemory:
            tell(f"memory ran out with {fit.describe()}")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        fit = fit.smaller()
    raise UserError(
        "not even one row at once fits the memory",
        where=where,
        instead="load_in_4bit: true, a smaller context, or a GPU with more memory",
    )


def _in_processes(
    sft: Path, base: Path, out: Path, work: Path, fit: Fit, options: dict[str, Any], pace: dict[str, Any]
) -> None:
    """`fitted` in several processes by torchrun. Raises what it raises."""
    arguments = {
        **{name: str(path) for name, path in {"sft": sft, "base": base, "out": out, "work": work}.items()},
        "fit": asdict(fit),
        "options": options,
        "job": progress.job,
    }
    ended = distributed.run("mindgauge.train_process", arguments, work, gpus=pace["gpus"], nodes=pace["nodes"])
    if ended.get("memory"):
        raise OutOfMemory
    if "stopped" in ended:
        raise Stopped(ended["stopped"])
    if "what" in ended:
        raise UserError(ended["what"], where=ended["where"], instead=ended["instead"])
