"""How fast an adapter is trained: this project's batches beside plain TRL (SFTTrainer as it comes: padded, its fused loss) and beside
transformers' Trainer with padded batches and whole logits, which is what LLaMA-Factory runs. The same random-weight model, rows, LoRA
and optimiser, in turn, each in a process of its own.

Rows have a shared instruction, words of their own as long as the client's in CPsyCounD (the quantiles below, in Qwen2 tokens), and an
answer. Useful tokens are a row's own length, whatever is computed for it.

    PYTHONPATH=workflow/scripts python tests/benchmarks/training.py --shape tiny --steps 4 --rounds 3
    PYTHONPATH=workflow/scripts python tests/benchmarks/training.py --shape 1.5b --steps 8 --peak-tflops 149.7     # on an A40
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

SEED = 20261124
# Hidden and inner width, layers, heads, key-value heads, width of a head, vocabulary.
SHAPES = {
    "1.5b": (1536, 8960, 28, 12, 2, 128, 151936),
    "0.6b": (1024, 3072, 28, 16, 8, 128, 151936),
    "0.1b": (512, 1536, 12, 8, 4, 64, 32768),
    "tiny": (256, 512, 3, 4, 2, 64, 8192),
}
INSTRUCTION, ANSWER = 316, 33
# Tokens of the client's words of 800 dialogues drawn from CPsyCounD (12 last turns): share of them -> at most so many.
OWN = {
    0: 39,
    5: 52,
    10: 59,
    20: 72,
    30: 82,
    40: 91,
    50: 101,
    60: 112,
    70: 122,
    80: 135,
    90: 157,
    95: 174,
    99: 207,
    100: 621,
}
WAYS = ("ours", "trl", "trainer")
ROWS, BATCH = 32, 8


def lengths(count: int) -> list[int]:
    """Own words of `count` rows, drawn from the quantiles."""
    draw = random.Random(SEED)
    marks = sorted(OWN)
    found = []
    for _ in range(count):
        share = draw.uniform(0, 100)
        low = max(mark for mark in marks if mark <= share)
        high = min(mark for mark in marks if mark >= share)
        part = (share - low) / (high - low) if high > low else 0.0
        found.append(round(OWN[low] + part * (OWN[high] - OWN[low])))
    return found


def one(way: str, shape: str, steps: int, checkpointing: bool) -> dict[str, float]:
    """Trains `steps` optimiser steps of 32 rows after a first one that is not timed; returns rows a second and the like."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer, models
    from transformers import (
        DataCollatorForSeq2Seq,
        PreTrainedTokenizerFast,
        Qwen2Config,
        Qwen2ForCausalLM,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )
    from trl import SFTConfig, SFTTrainer

    from mindgauge import batches
    from mindgauge.trainer import AnswerTrainer

    torch.manual_seed(SEED)
    cuda = torch.cuda.is_available()
    hidden, inner, layers, heads, pairs, width, vocabulary = SHAPES[shape]
    config = Qwen2Config(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=pairs, head_dim=width, max_position_embeddings=4096,
        tie_word_embeddings=True,
    )  # fmt: skip
    model: Any = Qwen2ForCausalLM(config).to(torch.bfloat16 if cuda else torch.float32)
    model.config.use_cache = False
    draw = random.Random(SEED)
    shared = [draw.randrange(10, vocabulary) for _ in range(INSTRUCTION)]
    rows = []
    for own in lengths(ROWS * (steps + 1)):
        row = [draw.randrange(10, vocabulary) for _ in range(own + ANSWER)]
        labels = [batches.IGNORED] * (INSTRUCTION + own) + row[own:]
        rows.append({"input_ids": shared + row, "labels": labels})
    words = Tokenizer(models.WordLevel({str(n): n for n in range(10)} | {"<pad>": 10}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="0")
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM")
    stamps: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if cuda:
                torch.cuda.synchronize()
            stamps.append(time.perf_counter())

    common = {
        "output_dir": tempfile.mkdtemp(), "per_device_train_batch_size": BATCH, "max_steps": steps + 1,
        "gradient_accumulation_steps": ROWS // BATCH, "learning_rate": 1e-4, "bf16": cuda, "use_cpu": not cuda,
        "report_to": [], "save_strategy": "no", "logging_steps": 1000, "disable_tqdm": True, "seed": SEED,
        "dataloader_pin_memory": cuda, "activation_checkpointing": checkpointing, "remove_unused_columns": False,
    }  # fmt: skip
    if way == "ours":
        trainer: Any = AnswerTrainer(
            model, SFTConfig(**common, max_length=None, dataset_kwargs={"skip_prepare_dataset": True}),
            data_collator=batches.packer(model.config), processing_class=tokenizer, peft_config=lora, callbacks=[Clock()],
            train_dataset=Dataset.from_list([{**row, "weight": 1.0} for row in rows]),
        )  # fmt: skip
    elif way == "trl":
        trainer = SFTTrainer(
            model, SFTConfig(**common, max_length=None, dataset_kwargs={"skip_prepare_dataset": True}),
            processing_class=tokenizer, peft_config=lora, callbacks=[Clock()], train_dataset=Dataset.from_list(rows),
        )  # fmt: skip
    else:
        adapted = get_peft_model(model, lora)
        if checkpointing:
            adapted.enable_input_require_grads()
        trainer = Trainer(
            adapted, TrainingArguments(**common), train_dataset=Dataset.from_list(rows), callbacks=[Clock()],
            data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=batches.IGNORED, pad_to_multiple_of=8),
        )  # fmt: skip
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    seconds = stamps[-1] - stamps[0]
    # The rows in the order of the trainer are a permutation of these; over all steps they are the same.
    mean = statistics.fmean(len(row["input_ids"]) for row in rows)
    weights = sum(p.numel() for name, p in model.named_parameters() if "lora_" not in name)
    return {
        "rows_s": ROWS * steps / seconds,
        "useful_tokens_s": ROWS * steps * mean / seconds,
        "peak_memory": torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        # Forward and the gradients of activations: 4 operations a weight and token; the base's weights have no gradient.
        "useful_tflops": 4 * weights * ROWS * steps * mean / seconds / 1e12,
    }  # fmt: skip


def main() -> None:
    """Runs the ways in turn and prints a table of medians, with ratios to plain TRL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="tiny", help="the model (default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=4, metavar="N", help="timed steps of 32 rows (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="how often each way is run (default: %(default)s)"
    )
    parser.add_argument("--checkpointing", action="store_true", help="compute activations again in all ways")
    parser.add_argument(
        "--peak-tflops", type=float, metavar="N", help="the card's, to tell the share of it that is used"
    )
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one, arguments.shape, arguments.steps, arguments.checkpointing)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(arguments.rounds):
        for way in WAYS:
            command = [
                sys.executable,
                __file__,
                "--one",
                way,
                "--shape",
                arguments.shape,
                "--steps",
                str(arguments.steps),
            ]
            command += ["--checkpointing"] if arguments.checkpointing else []
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
            print(
                f"round {number + 1}/{arguments.rounds}, {way}: {found[way][-1]['rows_s']:.2f} rows/s", file=sys.stderr
            )
    import torch

    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"{os.cpu_count()} cores, no GPU"
    print(f"{arguments.shape}, {card}, Python {platform.python_version()}, torch {torch.__version__}")
    print("| way | rows/s | useful tokens/s | over plain TRL | peak memory, GB | useful arithmetic, TFLOP/s |")
    print("|---|---|---|---|---|---|")
    for way in WAYS:
        ratios = [mine["rows_s"] / plain["rows_s"] for mine, plain in zip(found[way], found["trl"], strict=True)]
        median = {name: statistics.median(run[name] for run in found[way]) for name in found[way][0]}
        share = f" ({median['useful_tflops'] / arguments.peak_tflops:.0%} of the peak)" if arguments.peak_tflops else ""
        print(
            f"| {way} | {median['rows_s']:.2f} | {median['useful_tokens_s']:,.0f} | {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f}) | {median['peak_memory'] / 1e9:.2f} | {median['useful_tflops']:.3f}{share} |"
        )


if __name__ == "__main__":
    main()
