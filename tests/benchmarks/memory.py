"""How much memory the CPU steps of a model take, by its number of parameters: the same steps on two sizes of the demo's Qwen2 with random
weights, each in a process of its own; the slope between the two is what the rules ask for (`of_size` in rules/common.smk).

    make demo
    PYTHONPATH=workflow/scripts OMP_NUM_THREADS=1 python tests/benchmarks/memory.py
"""

import argparse
import multiprocessing
import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindgauge import bench, converting, evaluating, fidelity, imatrix, merging, quantising
from mindgauge.architecture import parameters
from mindgauge.config import Settings, overlaid

# Hidden and inner width, layers.
SHAPES = ((512, 2048, 6), (1024, 4096, 8))
SEED = 20261128
MB = 1e6


def make_base(tiny: Path, shape: tuple[int, int, int], out: Path) -> None:
    """A base of that shape in bf16 with the demo's tokenizer, and an adapter of it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(SEED)
    shutil.copytree(tiny, out / "base", ignore=shutil.ignore_patterns("*.safetensors"))
    config = AutoConfig.from_pretrained(str(tiny), local_files_only=True)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = shape
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = shape[0] // 64, shape[0] // 128, 64
    config.layer_types = None if getattr(config, "layer_types", None) is None else ["full_attention"] * shape[2]
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(str(out / "base"))
    get_peft_model(model, LoraConfig(r=8, target_modules="all-linear")).save_pretrained(str(out / "train"))


def peak(work: Callable[[], Any], said: Any) -> None:
    """Runs it, and tells the most memory that this process or one that it started had (bytes)."""
    work()
    of = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    said.put(max(resource.getrusage(who).ru_maxrss for who in of) * 1024)


def apart(work: Callable[[], Any]) -> float:
    """The peak of `work` in a process of its own, which has loaded no model before. Raises RuntimeError if it fails."""
    context = multiprocessing.get_context("fork")
    said = context.Queue()
    process = context.Process(target=peak, args=(work, said))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"it ended with {process.exitcode}")
    return float(said.get())


def measured(place: Path, settings: Settings, sft: Path) -> dict[str, float]:
    """The peak of each step (bytes), in the order in which they need each other."""
    name = settings.names[0]
    stanza = settings.model(name)
    template = Path(f"config/templates/{stanza.family}.jinja").read_text(encoding="utf-8")
    family: dict[str, Any] = {"family": stanza.family, "template": template, "context": stanza.context}
    asked: dict[str, Any] = {
        **family,
        "model": name,
        "max_new_tokens": 8,
        "labels": settings.scheme.to_dict(),
        "batch_size": settings.config.evaluate.batch_size,
        "false_alarms": 0.1,
        "urgent": ["suicidal"],
        "threads": 1,
    }
    parts = {part: place / part for part in ("base", "train", "merge", "convert", "quantise", "imatrix", "work")}
    outs = [path for part, path in parts.items() if part not in ("base", "train")]
    for path in [*outs, place / "hf", place / "gguf", place / "bench"]:
        path.mkdir()
    ggufs = {"f16": parts["convert"] / "model.gguf", "Q4_K_M": parts["quantise"] / "model.gguf"}

    def evaluate(kind: str) -> None:
        weights = {"hf": parts["merge"], "gguf": parts["convert"]}[kind]
        variant = {"hf": "merged", "gguf": "f16"}[kind]
        artifacts = {"weights": weights, "tokenizer": parts["merge"]}
        evaluating.evaluate(sft, artifacts, place / kind, variant=variant, kind=kind, **asked)

    steps: dict[str, Callable[[], Any]] = {
        "merge": lambda: merging.merge(parts["base"], parts["train"], sft, parts["merge"], **family),
        "convert": lambda: converting.convert(parts["merge"], parts["convert"], parts["work"], name, "f16"),
        "imatrix": lambda: imatrix.make(
            parts["merge"], sft / "train.jsonl", parts["imatrix"], **family, rows=8, seed=SEED
        ),
        "quantise": lambda: quantising.quantise(parts["convert"], parts["quantise"], "Q4_K_M"),
        "evaluate, transformers": lambda: evaluate("hf"),
        "evaluate, f16 GGUF": lambda: evaluate("gguf"),
        "fidelity": lambda: fidelity.compared(parts["merge"], ggufs, sft / "test.jsonl", **family, rows=8),
        "bench": lambda: bench.write(
            ggufs,
            place / "bench",
            bench.Workload(prompt_tokens=64, generated_tokens=8, repetitions=1, context=512),
            [1],
            1,
        ),
    }
    return {step: apart(work) for step, work in steps.items()}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="where sft/ lies")
    parser.add_argument("--tiny", type=Path, default=Path("build/tiny/tiny-qwen2"), help="whose tokenizer is taken")
    parser.add_argument("--rows", type=int, default=6, help="rows of each held-out file")
    arguments = parser.parse_args()
    settings = Settings(overlaid([Path("config/demo.yaml")]))
    found = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            (place / "sft").mkdir()
            for file in (arguments.results / "sft").glob("*.jsonl"):
                lines = file.read_text(encoding="utf-8").splitlines(keepends=True)[: arguments.rows]
                (place / "sft" / file.name).write_text("".join(lines), encoding="utf-8")
            apart(lambda place=place, shape=shape: make_base(arguments.tiny, shape, place))
            count = parameters(place / "base")
            found.append((count, measured(place, settings, place / "sft")))
    (small, few), (large, many) = found
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(
        f"| step | {small / 1e6:.0f} M parameters, MB | {large / 1e6:.0f} M, MB | bytes a parameter |\n|---|---|---|---|"
    )
    for step in few:
        slope = (many[step] - few[step]) / (large - small)
        print(f"| {step} | {few[step] / MB:.0f} | {many[step] / MB:.0f} | {slope:.1f} |")


if __name__ == "__main__":
    main()
