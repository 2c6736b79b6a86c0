"""How fast records are answered: the shared engine beside the bare evaluation of their tokens and beside llama-cpp-python's
completion under the exact grammar, on one GGUF and the same prompts, in turn; and the engine on transformers beside `generate`.

The models are made here: random weights in the shape of Qwen3-0.6B (or a smaller one), with the real Qwen2 vocabulary, Q4_K_M.

    PYTHONPATH=workflow/scripts python tests/benchmarks/answering.py --records 24 --rounds 3
"""

import argparse
import json
import os
import platform
import random
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llama_cpp import Llama, LlamaGrammar
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from mindgauge import converting, gguf_header, quantising, tiny_models
from mindgauge.answers import gbnf, parse
from mindgauge.chat import Chat
from mindgauge.engines import llama_cpp, shared
from mindgauge.engines.llama_cpp import LlamaCppEngine
from mindgauge.engines.transformers import TransformersEngine
from mindgauge.labels import Scheme
from mindgauge.trie import Node, Trie, following

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
# Batch sizes of which the second shows the numeric noise of the first: the same record alone, the same arithmetic in another order.
ALONE = (32, 512)


def make_tokenizer(work: Path):
    """The real Qwen2 tokenizer, rebuilt from the vocabulary that llama.cpp's sources carry."""
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
    for name in ("hf", "f16", "work"):
        (out / name).mkdir(parents=True)
    # Rows for every token that the vocabulary file lists, as in the true model.
    make_model(shape, tokenizer, 151936).to(torch.bfloat16).save_pretrained(str(out / "hf"))
    tokenizer.save_pretrained(str(out / "hf"))
    converting.convert(out / "hf", out / "f16", out / "work", "random", "f16")
    quantising.quantise(out / "f16", out, "Q4_K_M")
    return out / "model.gguf"


def make_prompts(chat: Chat, scheme: Scheme, count: int) -> list[list[int]]:
    """Prompts of the default instruction and of the synthetic sample's words, of OWN tokens in the mean, from half of that to
    half as much again."""
    rng = random.Random(SEED)
    words = "\n".join(
        "\n".join(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((ROOT / "data/sample/CPsyCounE").rglob("*.json"))
    )
    instruction = scheme.instruction((ROOT / "config/prompts/min_instruction.txt").read_text(encoding="utf-8"))
    rate = len(words) / len(chat.ids(words))
    prompts = []
    for _ in range(count):
        start, length = rng.randrange(len(words) - 2 * OWN), round(rate * OWN * rng.uniform(0.5, 1.5))
        prompts.append(chat.ids(chat.render(instruction, words[start : start + length])))
    return prompts


def bare(engine, prompts: list[list[int]]) -> None:
    """Evaluates the prompts as the engine would, what they share once, and asks nothing."""
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


def seconds(work: Callable[[], object]) -> tuple[float, float, object]:
    """How long `work` takes, how long the cores work for it (which other load disturbs less), and its result."""
    start, cores = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - start, time.process_time() - cores, found


def token_grammar(trie: Trie) -> str:
    """GBNF over token ids (format: llama.cpp, grammars/README.md) for exactly the answers of a trie, so that a completion
    takes the tokens the model was trained on. By characters alone, random weights cut an answer into twice as many."""
    rules: list[str] = []

    def rule(node: Node) -> str:
        name = f"n{len(rules)}"
        rules.append("")
        ways = " | ".join(map(rule, node.children.values()))
        rules[int(name[1:])] = f"{name} ::= {' '.join(f'<[{token}]>' for token in node.tokens)}" + f" ({ways})" * bool(
            ways
        )
        return name

    return f"root ::= {rule(trie.root)}\n" + "\n".join(rules) + "\n"


def differing(scheme, choices, others: list[dict]) -> list[tuple[int, float]]:
    """Of each answer that differs: how many labels do, and how far apart the two values of the first of them lie (log-odds)."""
    found = []
    for choice, other in zip(choices, others, strict=True):
        names = [name for name in scheme.names if choice.labels[name] != other[name]]
        if names:
            of = choice.probabilities[names[0]]
            found.append((len(names), float(np.log(of[choice.labels[names[0]]] / of[other[names[0]]]))))
    return found


def noise(first, second) -> float:
    """How much the log-odds of a label's two best values differ between two runs of the same records, 95 % of the time; over the
    labels before the first one that was chosen otherwise, and that one."""
    found = []
    for one, other in zip(first, second, strict=True):
        for name, of in one.probabilities.items():
            best, next_best = sorted(of, key=of.__getitem__)[:-3:-1]
            again = other.probabilities[name]
            found.append(abs(np.log(of[best] / of[next_best]) - np.log(again[best] / again[next_best])))
            if one.labels[name] != other.labels[name]:
                break
    return float(np.quantile(found, 0.95))


def with_llama_cpp(arguments: argparse.Namespace, chat: Chat, scheme: Scheme, trie: Trie, gguf: Path) -> None:
    """The three ways on a GGUF, in turn."""
    prompts = make_prompts(chat, scheme, arguments.records)
    beginning = shared(prompts)
    mean = statistics.mean(map(len, prompts)) - beginning
    print(
        f"{len(prompts)} records: {beginning} shared tokens, {mean:.0f} own in the mean, {trie.room} asked of the answer"
    )
    llama = Llama(
        str(gguf), n_ctx=1024, n_threads=arguments.threads, n_threads_batch=arguments.threads, seed=0, verbose=False
    )
    spoken: dict[str, list[int]] = {}

    def complete(name: str, text: str) -> Callable[[], list[dict]]:
        grammar = LlamaGrammar.from_string(text, verbose=False)

        def work() -> list[dict]:
            outs: list[Any] = [
                llama.create_completion(prompt, grammar=grammar, max_tokens=200, temperature=0.0) for prompt in prompts
            ]
            spoken[name] = [out["usage"]["completion_tokens"] for out in outs]
            return [parse(scheme, out["choices"][0]["text"]) for out in outs]

        return work

    with LlamaCppEngine(
        gguf,
        trie,
        batch=arguments.batch,
        **llama_cpp.sized(arguments.context, arguments.together),
        threads=arguments.threads,
    ) as engine:
        ways: dict[str, Callable[[], Any]] = {
            "bare": lambda: bare(engine, prompts),
            "engine": lambda: list(engine.answer(prompts)),
            "grammar": complete("grammar", gbnf(scheme)),
            "tokens": complete("tokens", token_grammar(trie)),
        }
        engine._share(prompts[0][:beginning])
        llama.eval(prompts[0][:beginning])  # the first time pages the file in
        found: dict[str, Any] = {}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        worked: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                wall, cores, found[name] = seconds(way)
                taken[name].append(wall / len(prompts))
                worked[name].append(cores / len(prompts))

    def ratio(times: dict[str, list[float]], first: str, second: str) -> float:
        """The median over the rounds, each of whose ways ran one after the other."""
        return statistics.median(one / other for one, other in zip(times[first], times[second], strict=True))

    for name in ways:
        wall = statistics.median(taken[name])
        print(
            f"{name:>8}  {1 / wall:>6.2f} records/s  {wall:>6.3f} s a record, {statistics.median(worked[name]):>6.3f} s of the cores"
            f"  {ratio(taken, name, 'bare'):>5.2f} x the time of bare, {ratio(worked, name, 'bare'):>5.2f} x of the cores"
            f"  (rounds: {' '.join(f'{of:.3f}' for of in taken[name])})",
            flush=True,
        )
    alone = []
    for batch in ALONE:
        with LlamaCppEngine(gguf, trie, context=1024, batch=batch, records=1, threads=arguments.threads) as engine:
            alone.append(list(engine.answer(prompts)))
    noisy = noise(*alone)
    flips = differing(scheme, alone[0], [choice.labels for choice in alone[1]])
    print(
        f"each record alone, batches of {ALONE[0]} and of {ALONE[1]} tokens: log-odds of the two best values within {noisy:.3f}"
        f" (95 %), {len(flips)} of {len(prompts)} answers differ by that noise alone"
    )
    others = {"alone": [choice.labels for choice in alone[0]], "grammar": found["grammar"], "tokens": found["tokens"]}
    for name, answers in others.items():
        gaps = differing(scheme, found["engine"], answers)
        print(
            f"engine and {name}: {len(gaps)} of {len(prompts)} answers differ, {sum(gap < noisy for _, gap in gaps)} of them at a"
            f" tie (first differing label, its two values within {noisy:.3f}); {sum(of for of, _ in gaps)} labels"
        )
    for name in ("grammar", "tokens"):
        print(
            f"engine over {name}: {ratio(taken, name, 'engine'):.2f} x records/s, {ratio(worked, name, 'engine'):.2f} x by the cores;"
            f" {statistics.mean(spoken[name]):.0f} tokens an answer"
        )


def with_transformers(arguments: argparse.Namespace, chat: Chat, scheme: Scheme, trie: Trie) -> None:
    """The engine beside `generate` on a tiny model."""
    torch.set_num_threads(arguments.threads)
    model = make_model("tiny", chat.tokenizer, len(chat.tokenizer)).eval()
    pad = chat.tokenizer.pad_token_id
    prompts = make_prompts(chat, scheme, arguments.rows)
    engine = TransformersEngine(model, trie, batch_size=arguments.together)

    def generate() -> None:
        for start in range(0, len(prompts), arguments.together):
            batch = prompts[start : start + arguments.together]
            width = max(map(len, batch))
            held = torch.tensor([[pad] * (width - len(one)) + one for one in batch])
            mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch])
            with torch.inference_mode():
                model.generate(
                    input_ids=held,
                    attention_mask=mask,
                    do_sample=False,
                    min_new_tokens=trie.room,
                    max_new_tokens=trie.room,
                    pad_token_id=pad,
                )

    taken: dict[str, list[float]] = {"engine": [], "generate": []}
    for _ in range(arguments.rounds):
        for name, way in {"engine": lambda: list(engine.answer(prompts)), "generate": generate}.items():
            taken[name].append(seconds(way)[0])
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
    parser.add_argument("--rounds", type=int, default=3, help="so many; medians are printed")
    parser.add_argument("--shape", choices=SHAPES, default="0.6b", help="shape of the GGUF")
    parser.add_argument("--keep", type=Path, help="a directory that keeps the GGUF for the next time")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--context", type=int, default=2048, help="tokens of the longest prompt and answer")
    parser.add_argument("--batch", type=int, help="tokens of a batch of the engine")
    parser.add_argument("--together", type=int, default=16, help="records at once at the most")
    arguments = parser.parse_args()
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
        chat = Chat(tokenizer, (ROOT / "config/templates/qwen3.jinja").read_text(encoding="utf-8"), "qwen3")
        scheme = Scheme.load(ROOT / "config/labels.yaml")
        trie = Trie.build(scheme, following(chat.ids, chat.render("", "")))
        if arguments.records:
            with_llama_cpp(arguments, chat, scheme, trie, gguf)
        if arguments.rows:
            with_transformers(arguments, chat, scheme, trie)


if __name__ == "__main__":
    main()
