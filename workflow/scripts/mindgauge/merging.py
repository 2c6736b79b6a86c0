"""Merging: the adapter into the full-precision base, checked against the adapter."""

import json
import shutil
from pathlib import Path
from typing import Any

from mindgauge import disk, dummy_prefix
from mindgauge.chat import Chat
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl, write_json, write_text

# Logits of the merged model, still in fp32, against base + adapter: only the order of sums differs.
BOUND = 1e-2
CHECKED = 8
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


def merge(base: Path, adapter: Path, sft: Path, out: Path, *, family: str, template: str, context: int) -> None:
    """Writes the merged model in the base's precision (bf16 for a base in fp32), its tokenizer, and merge_check.json.

    Merged in fp32 and cast afterwards, which is closer than merging in bf16 (FIELD_NOTES 2). Raises UserError if the
    merged model does not say what base and adapter say.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    disk.need(out, sum(path.stat().st_size for path in base.glob("*.safetensors")), "the merged model")
    chat = Chat.load(base, template, family)
    plain = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32, local_files_only=True)
    # The adapter's own config names the base by its short name; here the weights are loaded already.
    adapted = PeftModel.from_pretrained(plain, str(adapter)).eval()
    rows = [row for name in ("val", "train") for row in read_jsonl(sft / f"{name}.jsonl")][:CHECKED]
    inputs = [torch.tensor([chat.prompt(row["instruction"], row["input"], context)[1]]) for row in rows]

    def logits(model: Any) -> list[Any]:
        with torch.no_grad():
            return [model(input_ids=ids).logits[0].float() for ids in inputs]

    before = logits(adapted)
    merged = adapted.merge_and_unload()
    exact = logits(merged)
    merged.to(torch.bfloat16)
    cast = logits(merged)

    def difference(one: list[Any], other: list[Any]) -> dict[str, float]:
        return {
            "max_abs_logit": max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True)),
            "same_top_token": sum(
                float((a.argmax(-1) == b.argmax(-1)).float().mean()) for a, b in zip(one, other, strict=True)
            )
            / len(one),
        }

    check = {"rows": len(rows), "bound": BOUND, "fp32": difference(before, exact), "bf16": difference(before, cast)}
    if not check["fp32"]["max_abs_logit"] <= BOUND:  # type: ignore[index]
        raise UserError(
            f"the merged model's logits differ from the adapter's by {check['fp32']['max_abs_logit']:.3g} (allowed {BOUND})",  # type: ignore[index]
            where="merge",
            instead="the base model this adapter was trained on",
        )
    merged.config.eos_token_id = chat.end_id
    merged.generation_config.eos_token_id = chat.end_id
    merged.config.use_cache = True
    merged.save_pretrained(str(out))
    _tokenizer(base, out, chat)
    write_json(out / "merge_check.json", check)
