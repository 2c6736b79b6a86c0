"""Lets the real LLaMA-Factory read a train_<model>_lora.yaml, load results/sft by its own loader, and put all rows through its
own template; and compares the token ids with those that training has here. Prints numbers and names, no row.

Run from the root by a Python that has the real package, with this library in PYTHONPATH: docs/llama-factory.md says how."""

import argparse
from importlib.metadata import version
from pathlib import Path

import yaml

from mindgauge.chat import Chat
from mindgauge.files import read_jsonl

IGNORED = -100

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("yaml", type=Path, help="results/models/<model>/train_<model>_lora.yaml")
    parser.add_argument("family", help="the family of its stanza")
    parser.add_argument(
        "--cpu", action="store_true", help="bf16: false, which LLaMA-Factory wants where there is no GPU"
    )
    arguments = parser.parse_args()
    # After the arguments, which the documents' test lets it parse without the package.
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    asked = yaml.safe_load(arguments.yaml.read_text(encoding="utf-8"))
    if arguments.cpu:
        asked |= {"bf16": False, "use_cpu": True}
    model, data, training, finetuning, _ = get_train_args(asked)
    print(
        f"LLaMA-Factory {version('llamafactory')}, transformers {version('transformers')}: {arguments.yaml.name} is read"
    )
    print(f"LoRA r {finetuning.lora_rank} alpha {finetuning.lora_alpha}, targets {finetuning.lora_target}")
    print(
        f"batch {training.per_device_train_batch_size} x {training.gradient_accumulation_steps}, {training.learning_rate}"
    )
    loaded = load_tokenizer(model)
    tokenizer = loaded["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data)
    sets = get_dataset(template, model, data, training, stage="sft", **loaded)
    rows = list(read_jsonl(Path("results/sft/sft_student_mental.jsonl")))
    print(f"rows loaded: train {len(sets['train_dataset'])}, validation {len(sets.get('eval_dataset') or [])}")
    pinned = Path(f"config/templates/{arguments.family}.jinja").read_text(encoding="utf-8")
    chat = Chat.load(Path(asked["model_name_or_path"]), pinned, arguments.family)
    prompts, both, further = 0, 0, set()
    for theirs, row in zip(sets["train_dataset"], rows, strict=True):
        ours = chat.example(row, data.cutoff_len)
        prompt = [i for i, label in zip(theirs["input_ids"], theirs["labels"], strict=True) if label == IGNORED]
        answer = [label for label in theirs["labels"] if label != IGNORED]
        prompts += prompt == ours.prompt
        if prompt == ours.prompt and answer[: len(ours.completion)] == ours.completion:
            both += 1
            further.add(tokenizer.decode(answer[len(ours.completion) :]))
    print(f"rows with the same token ids: prompt {prompts}, prompt and answer {both} of {len(rows)}")
    print(f"after the end token: {sorted(further)}")
