"""Training: LoRA over a base model with TRL's SFTTrainer and PEFT.

Rows are tokenised here, by the same code that renders prompts for inference, and handed over as ids with a completion mask:
the loss is on the answer and its end token alone. Checkpoints lie in the keyed working space; a retry resumes from the last.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mindgauge.chat import Chat, Example
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json
from mindgauge.progress import span, tell


def examples(chat: Chat, rows: list[dict[str, Any]], context: int) -> list[Example]:
    """The rows as ids. Over-long ones are shortened inside the text and counted by the caller."""
    return [chat.example(row, context) for row in rows]


def _dataset(found: list[Example]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [example.prompt + example.completion for example in found],
            "completion_mask": [[0] * len(example.prompt) + [1] * len(example.completion) for example in found],
        }
    )


def _last_checkpoint(directory: Path) -> str | None:
    """The last whole checkpoint; one cut off by a kill lacks trainer_state.json, which is written last, and is removed."""
    found = sorted(directory.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    while found and not (found[-1] / "trainer_state.json").is_file():
        shutil.rmtree(found.pop())
    return str(found[-1]) if found else None


def _progress() -> Any:
    """A callback that prints step, rate, time left and loss: a line every few seconds, in the log as on a terminal."""
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def __init__(self) -> None:
            self.start, self.first, self.last, self.loss = time.monotonic(), 0, 0.0, ""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.start, self.first = time.monotonic(), state.global_step

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            for name in ("loss", "eval_loss"):
                if name in (logs or {}):
                    self.loss = f", {name} {float(logs[name]):.4f}"

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            now = time.monotonic()
            if now - self.last < 5 and state.global_step < state.max_steps:
                return
            self.last = now
            rate = (state.global_step - self.first) / max(now - self.start, 1e-9)
            left = span((state.max_steps - state.global_step) / rate) if rate else "?"
            tell(f"step {state.global_step}/{state.max_steps}, {rate:.2f}/s, {left} left{self.loss}")

    return Report()


def _model(base: Path, numbers: dict[str, Any], cuda: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    precision = numbers["precision"] if numbers["precision"] != "auto" else ("bf16" if cuda else "fp32")
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    options: dict[str, Any] = {}
    if numbers["load_in_4bit"]:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=dtype, local_files_only=True, **options)
    model.config.use_cache = False
    return model


def _figures(history: list[dict[str, Any]], out: Path) -> None:
    """training_loss.png (raw and smoothed) and training_eval_loss.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def draw(key: str, title: str, name: str, smooth: bool) -> None:
        points = [(row["step"], row[key]) for row in history if key in row]
        figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
        steps, losses = [step for step, _ in points], [loss for _, loss in points]
        if smooth:
            axes.plot(steps, losses, color="#9ecae1", linewidth=1, label="as logged")
            mean, means = None, []
            for loss in losses:  # exponential moving average
                mean = loss if mean is None else 0.8 * mean + 0.2 * loss
                means.append(mean)
            axes.plot(steps, means, color="#08519c", linewidth=2, label="smoothed")
            axes.legend(frameon=False)
        else:
            axes.plot(steps, losses, color="#08519c", linewidth=2, marker="o")
        axes.set(title=title, xlabel="optimiser step", ylabel="cross-entropy of the answer, nats a token")
        axes.set_ylim(0, 1.08 * max(losses, default=1))
        axes.grid(alpha=0.3)
        figure.savefig(out / name, dpi=120, metadata={"Software": None})
        pyplot.close(figure)

    draw("loss", "Training loss", "training_loss.png", smooth=True)
    draw("eval_loss", "Validation loss", "training_eval_loss.png", smooth=False)


def _save_adapter(trainer: Any, name: str, out: Path, work: Path) -> None:
    """adapter_model.safetensors and adapter_config.json, the latter with stable bytes and no path of this machine."""
    trainer.model.save_pretrained(str(work / "adapter"))
    shutil.copy(work / "adapter/adapter_model.safetensors", out / "adapter_model.safetensors")
    config = json.loads((work / "adapter/adapter_config.json").read_text())
    config["base_model_name_or_path"] = name
    if isinstance(config.get("target_modules"), list):
        config["target_modules"] = sorted(config["target_modules"])  # PEFT writes a set in any order
    write_json(out / "adapter_config.json", config)


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
    numbers: dict[str, Any],
) -> None:
    """Trains an adapter on train.jsonl of `sft`, evaluating on val.jsonl; `numbers` is the section `train`.

    On SIGTERM or SIGUSR1 it saves a checkpoint and exits with status 75; nothing is written to `out` then. Raises UserError
    if a row does not fit the context or the loss is not a number.
    """
    import torch
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    set_seed(numbers["seed"])
    cuda = torch.cuda.is_available()
    chat = Chat.load(base, template, family)
    rows = {name: examples(chat, list(read_jsonl(sft / f"{name}.jsonl")), context) for name in ("train", "val")}
    for name, of in rows.items():
        print(
            f"{name}: {len(of)} rows, {sum(example.shortened for example in of)} shortened to {context} tokens",
            file=sys.stderr,
        )
    checkpoints = work / "checkpoints"
    config = SFTConfig(
        output_dir=str(checkpoints),
        per_device_train_batch_size=numbers["batch_size"],
        per_device_eval_batch_size=numbers["batch_size"],
        gradient_accumulation_steps=numbers["gradient_accumulation"],
        learning_rate=numbers["learning_rate"],
        lr_scheduler_type=numbers["lr_scheduler"],
        warmup_steps=numbers["warmup"],  # below 1 it is a share of all steps
        weight_decay=numbers["weight_decay"],
        num_train_epochs=numbers["epochs"],
        max_steps=numbers["max_steps"] or -1,
        eval_strategy="steps" if rows["val"] else "no",
        eval_steps=numbers["eval_steps"],
        save_steps=numbers["save_steps"],
        save_total_limit=2,
        logging_steps=5,
        seed=numbers["seed"],
        data_seed=numbers["seed"],
        bf16=cuda and numbers["precision"] != "fp32",
        use_cpu=not cuda,
        max_length=None,  # nothing is cut: lengths were seen to above
        completion_only_loss=True,
        packing=False,
        activation_checkpointing=cuda,
        enable_jit_checkpoint=True,
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=cuda,
    )
    lora = LoraConfig(
        r=numbers["lora_r"],
        lora_alpha=numbers["lora_alpha"],
        lora_dropout=numbers["lora_dropout"],
        target_modules=numbers["target_modules"],
        task_type="CAUSAL_LM",
    )
    from transformers import PrinterCallback

    trainer = SFTTrainer(
        model=_model(base, numbers, cuda),
        args=config,
        train_dataset=_dataset(rows["train"]),
        eval_dataset=_dataset(rows["val"]) if rows["val"] else None,
        processing_class=chat.tokenizer,
        peft_config=lora,
        callbacks=[_progress()],
    )
    trainer.remove_callback(PrinterCallback)
    # A scheduler's warning is taken like its kill: the trainer saves on SIGTERM.
    signal.signal(signal.SIGUSR1, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
    start = time.monotonic()
    resume = _last_checkpoint(checkpoints)
    if resume:
        tell(f"resuming from {Path(resume).name}")
    result = trainer.train(resume_from_checkpoint=resume)
    state = trainer.state
    if state.global_step < state.max_steps:  # train() returns normally after such a checkpoint
        print(
            f"stopped at step {state.global_step}/{state.max_steps}; a retry resumes from here",
            file=sys.stderr,
            flush=True,
        )
        raise SystemExit(75)  # EX_TEMPFAIL
    if not result.training_loss == result.training_loss or result.training_loss == float("inf"):
        raise UserError(
            "the training loss is not a number",
            where=f"models.yaml: {model}.train",
            instead="a lower learning_rate, or precision: bf16",
        )
    evaluated = trainer.evaluate() if rows["val"] else {}
    _save_adapter(trainer, model, out, work)
    history = state.log_history
    supervised = sum(len(example.completion) for example in rows["train"])
    write_json(
        out / "train_results.json",
        {
            **result.metrics,
            "rows": len(rows["train"]),
            "shortened": sum(e.shortened for e in rows["train"]),
            "supervised_tokens": supervised,
            "steps": state.global_step,
        },
    )
    write_json(out / "eval_results.json", {**evaluated, "rows": len(rows["val"])})
    write_json(out / "log_history.json", history)
    _figures(history, out)
    tuned: Any = trainer.model
    trainable, total = tuned.get_nb_trainable_parameters()
    write_json(
        out / "run.json",
        {
            "model": model,
            "numbers": numbers,
            "family": family,
            "context": context,
            "seconds": round(time.monotonic() - start, 1),
            "device": torch.cuda.get_device_name(0) if cuda else "cpu",
            "peak_memory_bytes": torch.cuda.max_memory_allocated() if cuda else None,
            "trainable_parameters": trainable,
            "parameters": total,
            "resumed_from": Path(resume).name if resume else None,
        },
    )
