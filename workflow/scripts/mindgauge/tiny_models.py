"""Tiny base models of true architecture, so that the chain runs without a hub: random weights, then some seconds of
next-token training on the sample's text. Without it there is nothing for a low-rank adapter to steer; they see no label.

Their tokenizers are of the true kind (byte-level BPE with the family's own pre-tokenizer and special tokens, or SentencePiece:
tiny_sentencepiece.py), trained on the synthetic sample. Rows are 256 wide, so that K-quants need no fallback.
"""

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mindgauge import tiny_sentencepiece
from mindgauge.progress import Progress

SEED = 20261124
VOCABULARY = 2048
WIDTH = 256
PIECE = 96
STEPS = 150
# Gemma's, shorter than the prompts, so that what lies outside it matters.
WINDOW = 64
# The pre-tokenizers of the families, as their tokenizer.json have them.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def tokenizer(
    texts: Iterator[str], split: str, specials: list[str], bos: str | None, eos: str, pad: str, nfc: bool
) -> Any:
    """A byte-level BPE tokenizer trained on `texts`; special tokens stand at its end, as in the true ones."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(byte_fallback=False))
    if nfc:
        made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=VOCABULARY - len(specials), initial_alphabet=alphabet, show_progress=False),
    )
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


def pretrain(model: Any, made: Any, documents: list[str], end: str, steps: int) -> None:
    """Next-token training of all weights on `documents` (each followed by `end`), 16 pieces of 96 tokens a step."""
    import torch

    stream = [number for text in documents for number in made(text + end, add_special_tokens=False)["input_ids"]]
    pieces = torch.tensor(stream[: len(stream) // PIECE * PIECE]).view(-1, PIECE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.5e-3, total_steps=steps, pct_start=0.1)
    draw = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in Progress(range(steps), what=f"steps of {type(model).__name__}"):
        batch = pieces[torch.randint(len(pieces), (16,), generator=draw)]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    model.eval()


def _shape(made: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(made),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": WIDTH // 4,
        "max_position_embeddings": 4096,
        "bos_token_id": made.bos_token_id,
        "eos_token_id": made.eos_token_id,
        "pad_token_id": made.pad_token_id,
        "tie_word_embeddings": True,
        # Random weights of this size let so small a model learn in a few hundred steps.
        "initializer_range": 0.06,
        "dtype": "float32",
    }


# A model, its tokenizer, and what adds to the saved tokenizer's files.
Made = tuple[Any, Any, Callable[[Path], None]]


def _complete(out: Path) -> None:
    """A byte-level tokenizer's files are all that its kind has."""


def tiny_qwen2(texts: Iterator[str]) -> Made:
    """Qwen2 with the special tokens of DeepSeek-R1-Distill."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    # transformers gives every Qwen2 tokenizer <|endoftext|> as its unknown token, so it must have a row of its own.
    specials = ["<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<|endoftext|>"]
    made = tokenizer(texts, QWEN2_SPLIT, specials, specials[3], specials[0], specials[0], nfc=True)
    return Qwen2ForCausalLM(Qwen2Config(**_shape(made))), made, _complete


def tiny_qwen3(texts: Iterator[str]) -> Made:
    """Qwen3."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    made = tokenizer(texts, QWEN2_SPLIT, specials, None, specials[2], specials[0], nfc=True)
    return Qwen3ForCausalLM(Qwen3Config(**_shape(made))), made, _complete


def tiny_llama(texts: Iterator[str]) -> Made:
    """Llama 3."""
    from transformers import LlamaConfig, LlamaForCausalLM

    specials = [
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<|finetune_right_pad_id|>",
    ]
    made = tokenizer(texts, LLAMA3_SPLIT, specials, specials[0], specials[4], specials[5], nfc=False)
    return LlamaForCausalLM(LlamaConfig(**_shape(made))), made, _complete


def tiny_gemma3(texts: Iterator[str]) -> Made:
    """Gemma 3 (text): five layers with a sliding window and one that sees everything, which llama.cpp takes for granted."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    made, found = tiny_sentencepiece.gemma3(texts, VOCABULARY)
    shape = _shape(made) | {
        "num_hidden_layers": 6,
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": WIDTH // 4,
        "sliding_window": WINDOW,
    }
    config = Gemma3TextConfig(**shape)
    return Gemma3ForCausalLM(config), made, partial(tiny_sentencepiece.save, found, kind="GemmaTokenizer")


def tiny_gemma2(texts: Iterator[str]) -> Made:
    """Gemma 2: every other layer has a sliding window, and logits are capped, in attention as at the end."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    made, found = tiny_sentencepiece.gemma3(texts, VOCABULARY)
    shape = _shape(made) | {
        "num_hidden_layers": 4,
        "query_pre_attn_scalar": WIDTH // 4,
        "sliding_window": WINDOW,
    }
    finish = partial(tiny_sentencepiece.save, found, kind="GemmaTokenizer")
    return Gemma2ForCausalLM(Gemma2Config(**shape)), made, finish


def tiny_mistral(texts: Iterator[str]) -> Made:
    """Mistral v0.3: no sliding window, and a head of its own."""
    from transformers import MistralConfig, MistralForCausalLM

    made, found = tiny_sentencepiece.mistral(texts, VOCABULARY)
    shape = _shape(made) | {"sliding_window": None, "rope_theta": 1e6, "tie_word_embeddings": False}
    finish = partial(tiny_sentencepiece.save, found, kind="LlamaTokenizer", legacy=False)
    return MistralForCausalLM(MistralConfig(**shape)), made, finish


FAMILIES: dict[str, Callable[[Iterator[str]], Made]] = {
    "tiny-qwen2": tiny_qwen2,
    "tiny-qwen3": tiny_qwen3,
    "tiny-llama": tiny_llama,
    "tiny-gemma2": tiny_gemma2,
    "tiny-gemma3": tiny_gemma3,
    "tiny-mistral": tiny_mistral,
}


def documents(sample: Path, answers: list[str]) -> list[str]:
    """The sample's texts, and as many answers drawn at random: what an answer looks like, not which one is right."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((sample / "CPsyCounD").glob("*.txt"))]
    texts += [
        "\n".join(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((sample / "CPsyCounE").rglob("*.json"))
    ]
    for path in sorted((sample / "PsyQA").glob("*.json")):
        texts += [
            item["question"] + (item["description"] or "") for item in json.loads(path.read_text(encoding="utf-8"))
        ]
    draw = random.Random(SEED)
    found = texts + draw.choices(answers, k=len(texts))
    draw.shuffle(found)
    return found


def make(name: str, sample: Path, answers: list[str], out: Path, steps: int = STEPS) -> None:
    """Writes the tiny model `name`, its vocabulary and weights learnt from the text files of `sample` and from `answers`.
    On one machine the same inputs give the same bytes."""
    import torch

    torch.manual_seed(SEED)
    texts = documents(sample, answers)
    model, made, finish = FAMILIES[name](iter(texts))
    pretrain(model, made, texts, made.eos_token, steps)
    model.generation_config.pad_token_id = made.pad_token_id
    model.save_pretrained(str(out))
    made.save_pretrained(str(out))
    finish(out)
