"""Which steps give the same bytes again: a tiny model made, trained, merged, converted and quantised several times, in processes of
their own. docs/reproducibility.md quotes it. `--steps` optimiser steps of LoRA in fp32 on the CPU."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
LABELS = '{{"depression_level": {0}, "anxiety_level": {1}, "risk_flag": "none", "student_distress_score": {0}}}'
OPTIONS = {"family": "deepseek-r1", "context": 512}


def sha256(*files: Path) -> str:
    """The sha256 of some files, one after the other."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def chain(root: Path, steps: int, seed: int) -> dict[str, str]:
    """Runs the steps below `root`; returns what each made, as a hash."""
    from mindgauge import converting, merging, quantising, tiny_models, training
    from mindgauge.answers import all_answers
    from mindgauge.config import TRAIN_PACE, Train
    from mindgauge.files import write_jsonl
    from mindgauge.labels import Scheme

    answers = all_answers(Scheme.load(ROOT / "config/labels.yaml"))[::37]
    parts = {name: root / name for name in ("base", "sft", "train", "merge", "convert", "quantise", "work")}
    for name, path in parts.items():
        if name != "base":
            path.mkdir(parents=True)
    tiny_models.make("tiny-qwen2", ROOT / "data/sample", answers, parts["base"], steps=2)
    rows = [
        {"id": f"{n:016x}", "instruction": "读学生的话。", "input": f"{'甲乙丙丁'[n % 4]}事第{n}次", "output": LABELS.format(n % 4, n % 3)}
        for n in range(56)
    ]  # fmt: skip
    for name, of in {"train": rows[:40], "val": rows[40:48], "test": rows[48:], "gold": []}.items():
        write_jsonl(parts["sft"] / f"{name}.jsonl", of)
    template = (ROOT / f"config/templates/{OPTIONS['family']}.jinja").read_text()
    recipe = {**Train().model_dump(), "max_steps": steps, "eval_steps": steps, "save_steps": steps, "seed": seed}
    pace = {name: recipe.pop(name) for name in TRAIN_PACE}
    training.train(
        parts["sft"], parts["base"], parts["train"], parts["work"], model="m", numbers=recipe, pace=pace,
        labels=Scheme.load(ROOT / "config/labels.yaml").to_dict(), template=template, **OPTIONS,
    )  # fmt: skip
    merging.merge(parts["base"], parts["train"], parts["sft"], parts["merge"], template=template, **OPTIONS)
    converting.convert(parts["merge"], parts["convert"], parts["work"], "m", "f16")
    quantising.quantise(parts["convert"], parts["quantise"], "Q4_K_M")
    loss = json.loads((parts["train"] / "train_results.json").read_text())["train_loss"]
    return {
        "base": sha256(*sorted(path for path in parts["base"].rglob("*") if path.is_file())),
        "adapter": sha256(parts["train"] / "adapter_model.safetensors", parts["train"] / "adapter_config.json"),
        "merged": sha256(parts["merge"] / "model.safetensors"),
        "f16 GGUF": sha256(parts["convert"] / "model.gguf"),
        "Q4_K_M GGUF": sha256(parts["quantise"] / "model.gguf"),
        "training loss": f"{loss:.9f}",
    }


def main() -> None:
    """Runs the chain in processes of its own, and prints what each made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=24, metavar="N", help="optimiser steps (default: %(default)s)")
    parser.add_argument("--one", type=Path, metavar="DIRECTORY", help="run the chain once, there")
    parser.add_argument("--seed", type=int, default=1, help="the seed of --one")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(chain(arguments.one, arguments.steps, arguments.seed)))
        return
    runs = {"1 thread": (1, 1), "again": (1, 1), "2 threads": (2, 1), "another seed": (1, 2)}
    found = {}
    for name, (threads, seed) in runs.items():
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, __file__, "--one", f"{directory}/run", "--steps", str(arguments.steps)]
            done = subprocess.run(
                [*command, "--seed", str(seed)],
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
        found[name] = json.loads(done.stdout.splitlines()[-1])
    print(f"{'':14}" + "".join(f"{name:>17}" for name in found))
    for what in found["1 thread"]:
        print(f"{what:14}" + "".join(f"{of[what]:>17}" for of in found.values()))


if __name__ == "__main__":
    main()
