"""Merging: the adapter into the full-precision base, checked against the adapter."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from mindgauge import disk, dummy_prefix
from mindgauge.architecture import parameters
from mindgauge.chat import Chat
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json, write_text

# Logits of the merged model, still in fp32, against base + adapter: only the order of sums differs.
BOUND = 1e-2
# Of what is written, in bf16: rounding decides near ties, one answer in eight of a tiny model among them, so neither single logits nor
# answers are asked for. Of the models that tests train it leaves 98 % and more of the likeliest tokens as they are, with logits
# moved by up to 0.2; where one in ten differs, more was lost than digits.
SAME_TOP = 0.9
CHECKED = 8
SHARD = "4GB"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)


def _tokenizer(base: Path, out: Path, chat: Chat) -> None:
    """The base's original tokenizer files (transformers 5 saves them differently: unsloth#8444), with the pinned template
    and the family's end token, so that whoever loads the model stops where training stopped; and without a dummy prefix."""
    for name in TOKENIZER:
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)
    config = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["chat_template"] = chat.template
    config["eos_token"] = chat.end
    if (out / "tokenizer.model").is_file():
        # The converter passes it on; llama.cpp takes a SentencePiece vocabulary to have a prefix unless told.
        config["add_prefix_space"] = False
    if (out / "tokenizer.json").is_file():
        state = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))
        changed = dummy_prefix.without(state)
        if changed is not state:
            write_text(out / "tokenizer.json", json.dumps(changed, ensure_ascii=False))
    write_json(out / "tokenizer_config.json", config)
    write_text(out / "chat_template.jinja", chat.template)


def _refuse_quantised(base: Path) -> None:
    """Raises UserError for a base whose weights are quantised: an adapter merged into rounded weights is another model (peft#2321)."""
    found = json.loads((base / "config.json").read_text(encoding="utf-8")).get("quantization_config")
    if found:
        raise UserError(
            f"this base is quantised ({found.get('quant_method', 'an unknown way')})",
            where=f"models.yaml: the base of this model ({base.name})",
            instead="the base in full precision, as it was published; train.load_in_4bit quantises it for training alone",
        )


def _room(weights: int) -> bool:
    """Whether so many weights fit the memory in fp32, with a third to spare; by /proc/meminfo and the job's own limit (a container's
    cgroup, or what SLURM was asked for: sbatch(1), SLURM_MEM_PER_NODE in MB, where cgroups may lie deeper or be missing)."""
    free = [
        int(line.split()[1]) << 10
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable")
    ]
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (said := limit.read_text().strip()).isdigit():
            free.append(int(said))
    if (asked := os.environ.get("SLURM_MEM_PER_NODE", "")).isdigit() and int(asked):  # 0: all of the node
        free.append(int(asked) << 20)
    return not free or weights * 4 * 4 / 3 < min(free)


def _merge_layers(adapted: Any) -> Any:
    """Adds each layer's adapter to its weights in fp32 and rounds the sum once, whatever the model is held in; returns the model
    without adapters. One layer at a time, so that a large base never stands in fp32 as a whole."""
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in adapted.modules():
        if isinstance(layer, BaseTunerLayer):
            held: Any = layer.get_base_layer()
            dtype = held.weight.dtype
            held.to(torch.float32)
            layer.merge(safe_merge=True)
            held.to(dtype)
    return adapted.unload()


def merge(
    base: Path,
    adapter: Path,
    sft: Path,
    out: Path,
    *,
    family: str,
    template: str,
    context: int,
) -> None:
    """Writes the merged model in bf16, in shards of `SHARD`, its tokenizer, and merge_check.json.

    Merged in fp32 and cast afterwards, which is closer than merging in bf16 (FIELD_NOTES 2). Held to base and adapter on a few
    rows, in fp32 where memory allows it, else in bf16. Raises UserError for a quantised base, or if the merged model does not say
    what base and adapter say.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    _refuse_quantised(base)
    disk.need(out, sum(path.stat().st_size for path in base.glob("*.safetensors")), "the merged model")
    chat = Chat.load(base, template, family)
    exact = _room(parameters(base))
    dtype = torch.float32 if exact else torch.bfloat16
    plain = AutoModelForCausalLM.from_pretrained(str(base), dtype=dtype, local_files_only=True)
    # The adapter's own config names the base by its short name; here the weights are loaded already.
    adapted = PeftModel.from_pretrained(plain, str(adapter)).eval()
    rows = [row for name in ("val", "train") for row in read_jsonl(sft / f"{name}.jsonl")][:CHECKED]
    asked = [chat.example(row, context) for row in rows]

    def said(model: Any) -> list[Any]:
        """The logits of each row, prompt and answer."""
        with torch.no_grad():
            return [model(input_ids=torch.tensor([of.prompt + of.completion])).logits[0].float() for of in asked]

    def difference(one: list[Any], other: list[Any]) -> dict[str, float]:
        pairs = list(zip(one, other, strict=True))
        tops = [(a.argmax(-1), b.argmax(-1)) for a, b in pairs]
        # What each says in the places of the answer, labels among them, given what stands before in the row's own.
        answers = [bool((a == b)[len(of.prompt) - 1 : -1].all()) for (a, b), of in zip(tops, asked, strict=True)]
        return {
            "max_abs_logit": max(float((a - b).abs().max()) for a, b in pairs),
            "same_top_token": sum(float((a == b).float().mean()) for a, b in tops) / len(pairs),
            "same_answers": sum(answers) / len(pairs),
        }

    before = said(adapted)
    merged = _merge_layers(adapted)
    check: dict[str, Any] = {"rows": len(rows), "bound": BOUND, "compared_in": "fp32" if exact else "bf16"}
    if exact:
        check["fp32"] = difference(before, said(merged))
        merged.to(torch.bfloat16)
    check["bf16"] = difference(before, said(merged))
    _refuse_different(check)
    merged.config.eos_token_id = chat.end_id
    merged.generation_config.eos_token_id = chat.end_id
    merged.config.use_cache = True
    merged.save_pretrained(str(out), max_shard_size=SHARD)
    _tokenizer(base, out, chat)
    write_json(out / "merge_check.json", check)


def _refuse_different(check: dict[str, Any]) -> None:
    """Raises UserError if the merged model says something else than base and adapter did: in fp32 by its logits and answers, where
    they were compared; as it is written, in bf16, by its likeliest tokens."""
    instead = "the base model this adapter was trained on; train this model again if it is the same"
    exact, written = check.get("fp32"), check["bf16"]
    if exact and not exact["max_abs_logit"] <= BOUND:
        raise UserError(
            f"the merged model's logits differ from the adapter's by {exact['max_abs_logit']:.3g} (allowed {BOUND})",
            where="merge",
            instead=instead,
        )
    if exact and exact["same_answers"] < 1:
        raise UserError(
            f"the merged model gives other labels than the adapter on {1 - exact['same_answers']:.0%} of the rows checked",
            where="merge",
            instead=instead,
        )
    if not written["same_top_token"] >= SAME_TOP:
        raise UserError(
            f"the merged model's likeliest next token is the adapter's on {written['same_top_token']:.1%} only (at least {SAME_TOP:.0%})",
            where="merge (cast to bf16)"
            if exact
            else "merge (in bf16, since this job's memory does not hold the model in fp32)",
            instead="a base that was published in bf16: this one's weights lose too much by the cast"
            if exact
            else instead,
        )
