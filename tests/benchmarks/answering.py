"""How fast records are answered: the shared engine beside the bare evaluation of their tokens and beside llama-cpp-python's
completion under the exact grammar, on one GGUF and the same prompts, in turn; and the engine on transformers beside `generate`.

The models are made here: random weights in the shape of Qwen3-0.6B (or a smaller one), with the real Qwen2 vocabulary, Q4_K_M.

    python tests/benchmarks/answering.py --records 24 --rounds 3
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SEED = 20261124
# Hidden and inner width, layers, heads, key-value heads, width of a head.
SHAPES = {
    "0.6b": (1024, 3072, 28, 16, 8, 128),
    "0.1b": (512, 1536, 12, 8, 4, 64),
    "tiny": (256, 512, 3, 4, 2, 64),
}
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
OWN = 180
NOISE = 0.05  # in logits; what batching changes lies below it (the table says how much it was)


def make_tokenizer(work: Path):
    """The real Qwen2 tokenizer, rebuilt from the vocabulary that llama.cpp's sources carry."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from mindgauge import converting, gguf_header, tiny_models

    with tarfile.open(converting.sdist()) as archive:
        name = archive.getnames()[0].split("/")[0] + "/vendor/llama.cpp/models/ggml-vocab-qwen2.gguf"
        held = archive.extractfile(name)
        assert held is not None
        (work / "vocabulary.gguf").write_bytes(held.read())
    values = gguf_header.read_header(work / "vocabulary.gguf").values
    words, kinds = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.token_type"]
    plain = {word: number for number, (word, kind) in enumerate(zip(words, kinds, strict=True)) if kind == 1}
    merges = [tuple(pair.split(" ")) for pair in values["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE(vocab=plain, merges=merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(tiny_models.QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=SPECIALS[2], pad_token=SPECIALS[0], clean_up_tokenization_spaces=False
    )


def make_model(shape: str, tokenizer, words: int):
    """A Qwen3 of that shape with random weights."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    width, inner, layers, heads, groups, head = SHAPES[shape]
    torch.manual_seed(SEED)
    config = Qwen3Config(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=head,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        initializer_range=0.06,
        dtype="float32",
    )
    return Qwen3ForCausalLM(config)


def make_gguf(shape: str, tokenizer, out: Path) -> Path:
    """The model of that shape as a Q4_K_M GGUF."""
    import torch

    from mindgauge import converting, quantising

    for name in ("hf", "f16", "work"):
        (out / name).mkdir(parents=True)
    # Rows for every token that the vocabulary file lists, as in the true model.
    make_model(shape, tokenizer, 151936).to(torch.bfloat16).save_pretrained(str(out / "hf"))
    tokenizer.save_pretrained(str(out / "hf"))
    converting.convert(out / "hf", out / "f16", out / "work", "random", "f16")
    quantising.quantise(out / "f16", out, "Q4_K_M")
    return out / "model.gguf"


def make_prompts(tokenizer, count: int) -> list[list[int]]:
    """Prompts of the default instruction and of the synthetic sample's words, of OWN tokens in the mean, from half of that to
    half as much again."""
    from mindgauge.chat import Chat
    from mindgauge.labels import Scheme

    rng = random.Random(SEED)
    words = "\n".join(
        "\n".join(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((ROOT / "data/sample/CPsyCounE").rglob("*.json"))
    )
    scheme = Scheme.load(ROOT / "config/labels.yaml")
    instruction = scheme.instruction((ROOT / "config/prompts/min_instruction.txt").read_text(encoding="utf-8"))
    chat = Chat(tokenizer, (ROOT / "config/templates/qwen3.jinja").read_text(encoding="utf-8"), "qwen3")
    rate = len(words) / len(chat.ids(words))
    prompts = []
    for _ in range(count):
        start, length = rng.randrange(len(words) - 2 * OWN), round(rate * OWN * rng.uniform(0.5, 1.5))
        prompts.append(chat.ids(chat.render(instruction, words[start : start + length])))
    return prompts


def bare(engine, prompts: list[list[int]]) -> None:
    """Evaluates the prompts as the engine would, what they share once, and asks nothing."""
    from mindgauge.engines import llama_cpp, shared

    start = shared(prompts)
    engine._share(prompts[0][:start])
    waiting, jobs = list(prompts), []
    free = list(range(1, engine.records + 1))
    held: list[tuple[object, int]] = []
    while waiting or jobs:
        for job, sequence in list(held):
            if not job.tokens:
                held.remove((job, sequence))
                engine._remove(sequence, 0)
                free.append(sequence)
        while waiting and free and sum(len(job.tokens) for job in jobs) < engine.batch.size:
            sequence = free.pop()
            engine.api.llama_memory_seq_cp(engine.memory, llama_cpp.PREFIX, sequence, -1, -1)
            jobs.append(llama_cpp._Job(waiting.pop(0)[start:], start, sequence))
            held.append((jobs[-1], sequence))
        engine._decode(jobs)
    for _, sequence in held:
        engine._remove(sequence, 0)


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    """How long `work` takes, and its result."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def differing(scheme, choices, others: list[dict]) -> tuple[int, int, int]:
    """Labels that differ; answers that do; and those of them whose first differing label has its two values within NOISE."""
    labels = answers = ties = 0
    for choice, other in zip(choices, others, strict=True):
        names = [name for name in scheme.names if choice.labels[name] != other[name]]
        if names:
            of = choice.probabilities[names[0]]
            gap = np.log(of[choice.labels[names[0]]] / of[other[names[0]]])
            labels, answers, ties = labels + len(names), answers + 1, ties + (gap < NOISE)
    return labels, answers, ties


def with_llama_cpp(arguments: argparse.Namespace, tokenizer, gguf: Path) -> None:
    """The three ways on a GGUF, in turn."""
    from llama_cpp import Llama, LlamaGrammar

    from mindgauge.answers import gbnf, parse
    from mindgauge.engines import shared
    from mindgauge.engines.llama_cpp import LlamaCppEngine
    from mindgauge.labels import Scheme
    from mindgauge.trie import Trie, following

    scheme = Scheme.load(ROOT / "config/labels.yaml")
    ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    trie = Trie.build(scheme, following(ids, "<|im_start|>assistant\n"))
    prompts = make_prompts(tokenizer, arguments.records)
    beginning = shared(prompts)
    mean = statistics.mean(map(len, prompts)) - beginning
    print(
        f"{len(prompts)} records: {beginning} shared tokens, {mean:.0f} own in the mean, {trie.room} asked of the answer"
    )
    llama = Llama(
        str(gguf), n_ctx=1024, n_threads=arguments.threads, n_threads_batch=arguments.threads, seed=0, verbose=False
    )
    grammar = LlamaGrammar.from_string(gbnf(scheme), verbose=False)
    spoken: list[int] = []

    def complete() -> list[dict]:
        found = []
        spoken.clear()
        for prompt in prompts:
            out = llama.create_completion(prompt, grammar=grammar, max_tokens=200, temperature=0.0)
            spoken.append(out["usage"]["completion_tokens"])
            found.append(parse(scheme, out["choices"][0]["text"]))
        return found

    taken: dict[str, list[float]] = {"bare": [], "engine": [], "grammar": []}
    with LlamaCppEngine(
        gguf,
        trie,
        context=arguments.context,
        batch=arguments.batch,
        records=arguments.together,
        threads=arguments.threads,
    ) as engine:
        ways = {
            "bare": lambda: bare(engine, prompts),
            "engine": lambda: list(engine.answer(prompts)),
            "grammar": complete,
        }
        for way in ways.values() if arguments.rounds else ():
            way()  # the first time pages the file in
        found: dict[str, object] = {}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                took, found[name] = seconds(way)
                taken[name].append(took)
    medians = {name: statistics.median(of) for name, of in taken.items()}
    for name, median in medians.items():
        print(
            f"{name:>8}  {len(prompts) / median:>6.2f} records/s  {median / len(prompts):>6.3f} s a record"
            f"  {median / medians['bare']:>5.2f} x the time of bare"
            f"  (rounds: {' '.join(f'{of / len(prompts):.3f}' for of in taken[name])})"
        )
    print(f"engine over grammar: {medians['grammar'] / medians['engine']:.2f} x records/s")
    labels, answers, ties = differing(scheme, found["engine"], found["grammar"])
    print(
        f"{labels} labels in {answers} of {len(prompts)} answers differ between engine and grammar, {ties} of these at a tie"
        f" (first differing label, gap < {NOISE}); the grammar's answers take {statistics.mean(spoken):.0f} tokens"
    )


def with_transformers(arguments: argparse.Namespace, tokenizer) -> None:
    """The engine beside `generate` on a tiny model."""
    import torch

    from mindgauge.engines.transformers import TransformersEngine
    from mindgauge.labels import Scheme
    from mindgauge.trie import Trie, following

    torch.set_num_threads(arguments.threads)
    scheme = Scheme.load(ROOT / "config/labels.yaml")
    ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    trie = Trie.build(scheme, following(ids, "<|im_start|>assistant\n"))
    model = make_model("tiny", tokenizer, len(tokenizer)).eval()
    prompts = make_prompts(tokenizer, arguments.rows)
    engine = TransformersEngine(model, trie, batch_size=arguments.together)

    def generate() -> None:
        for start in range(0, len(prompts), arguments.together):
            batch = prompts[start : start + arguments.together]
            width = max(map(len, batch))
            held = torch.tensor([[tokenizer.pad_token_id] * (width - len(one)) + one for one in batch])
            mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch])
            with torch.inference_mode():
                model.generate(
                    input_ids=held,
                    attention_mask=mask,
                    do_sample=False,
                    min_new_tokens=trie.room,
                    max_new_tokens=trie.room,
                    pad_token_id=tokenizer.pad_token_id,
                )

    taken: dict[str, list[float]] = {"engine": [], "generate": []}
    for _ in range(arguments.rounds):
        taken["engine"].append(seconds(lambda: list(engine.answer(prompts)))[0])
        taken["generate"].append(seconds(generate)[0])
    rates = {name: len(prompts) / statistics.median(of) for name, of in taken.items()}
    print(
        f"transformers, tiny model, {len(prompts)} rows, batches of {arguments.together}: engine {rates['engine']:.1f} rows/s,"
        f" generate {rates['generate']:.1f} rows/s, {rates['engine'] / rates['generate']:.2f} x"
    )


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, default=24, help="records asked of the GGUF")
    parser.add_argument("--rows", type=int, default=64, help="rows asked of the model of transformers")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is printed")
    parser.add_argument("--shape", choices=SHAPES, default="0.6b", help="shape of the GGUF")
    parser.add_argument("--keep", type=Path, help="a directory that keeps the GGUF for the next time")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--context", type=int, default=4096, help="tokens of the engine's context")
    parser.add_argument("--batch", type=int, default=512, help="tokens of a batch of the engine")
    parser.add_argument("--together", type=int, default=16, help="records under way together")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "workflow/scripts"))
    with tempfile.TemporaryDirectory() as directory:
        tokenizer = make_tokenizer(Path(directory))
        place = (arguments.keep or Path(directory)) / arguments.shape
        gguf = (
            place / "model.gguf" if (place / "model.gguf").is_file() else make_gguf(arguments.shape, tokenizer, place)
        )
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads,"
            f" Python {platform.python_version()}, {arguments.shape} Q4_K_M, {gguf.stat().st_size / 1e6:.0f} MB"
        )
        with_llama_cpp(arguments, tokenizer, gguf)
        with_transformers(arguments, tokenizer)


if __name__ == "__main__":
    main()
