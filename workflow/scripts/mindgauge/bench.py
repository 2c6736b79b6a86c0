"""What a GGUF costs on a few cores, as on a phone: its size, peak memory, and tokens a second of prompt and of generation, by the
llama.cpp that is linked, without a GPU. Times differ from run to run: the machine stands beside them.

Every measurement (a GGUF, a number of threads) is a process of its own, so that the peak of one is not taken for another's.
"""

import logging
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgauge import machine
from mindgauge.errors import UserError
from mindgauge.files import write_json
from mindgauge.progress import Progress

# What prompts are made of: a dense model takes the same time for any tokens, so that no record's words are needed.
FILLER = "今天天气很好，我去图书馆看书，下午和同学打球，晚上写作业。"
# The warm-up: a few tokens touch all weights, over and over for some seconds, until threads that libraries started with (OpenBLAS)
# spin no more; their time would count as the model's.
WARM_UP, WARM_UP_SECONDS = 16, 0.2
# A measurement that had less than this share of its threads' time waited for cores that others used. On busy cores the threads
# wait for the slowest at every operation: tokens a second then fall a hundredfold and more.
UNDISTURBED = 0.9


@dataclass(frozen=True)
class Workload:
    """What is asked of every GGUF: a prompt of `prompt_tokens`, then `generated_tokens` one by one, in a context of `context` tokens,
    `repetitions` times."""

    prompt_tokens: int
    generated_tokens: int
    repetitions: int
    context: int


@contextmanager
def loaded(path: Path, workload: Workload, threads: int) -> Iterator[tuple[Any, Any]]:
    """Model and context of llama.cpp on the CPU alone. Raises UserError if it cannot load the file."""
    import llama_cpp as api

    model_params = api.llama_model_default_params()
    model_params.n_gpu_layers = 0
    model = api.llama_model_load_from_file(str(path).encode(), model_params)
    if not model:
        raise UserError(
            "llama.cpp cannot load this file", where=str(path), instead="a complete GGUF of a causal language model"
        )
    params = api.llama_context_default_params()
    params.n_ctx = workload.context
    # The prompt in one call; llama.cpp cuts it into its own batches (n_ubatch).
    params.n_batch = max(workload.prompt_tokens, WARM_UP)
    params.n_threads = params.n_threads_batch = threads
    params.offload_kqv = params.op_offload = False
    context = api.llama_init_from_model(model, params)
    try:
        if not context:
            raise UserError(
                f"llama.cpp has no memory for a context of {workload.context} tokens",
                where=str(path),
                instead="a smaller context",
            )
        yield model, context
    finally:
        if context:
            api.llama_free(context)
        api.llama_model_free(model)


def fitting(workload: Workload, trained: int, where: str) -> int:
    """Tokens of the prompt that fit with what is generated into the context asked for and into the trained one. Raises UserError if
    none do."""
    room = min(workload.context, trained) - workload.generated_tokens
    if room < 1:
        raise UserError(
            f"a context of {min(workload.context, trained)} tokens has no room for a prompt and {workload.generated_tokens} generated tokens",
            where=where,
            instead="fewer generated tokens",
        )
    return min(workload.prompt_tokens, room)


def filler(model: Any, count: int) -> list[int]:
    """Exactly `count` tokens of the filler, begun as the model's prompts are."""
    import llama_cpp as api

    vocab = api.llama_model_get_vocab(model)
    text = (FILLER * count).encode()  # at least a token a sentence
    ids = (api.llama_token * (len(text) + 1))()
    found = api.llama_tokenize(vocab, text, len(text), ids, len(ids), True, False)
    return ids[: min(found, count)]


def decode(context: Any, tokens: list[int]) -> float:
    """Evaluates tokens after those in the context; the seconds it took."""
    import llama_cpp as api

    held = (api.llama_token * len(tokens))(*tokens)
    start = time.perf_counter()
    status = api.llama_decode(context, api.llama_batch_get_one(held, len(tokens)))
    api.llama_synchronize(context)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"llama_decode failed with status {status}")
    return seconds


def warm_up(context: Any, tokens: list[int]) -> None:
    """Evaluates the tokens again and again for the time of the warm-up."""
    import llama_cpp as api

    start = time.perf_counter()
    while time.perf_counter() - start < WARM_UP_SECONDS:
        decode(context, tokens)
        api.llama_memory_clear(api.llama_get_memory(context), True)


def resident(field: str) -> int:
    """Bytes of this process by a field of /proc/self/status: `VmRSS`, or its peak, `VmHWM`. (ru_maxrss would count the process that
    started this one, too.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def mapped(path: Path) -> int:
    """Bytes of a file that are mapped and resident in this process."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        name = line.split(maxsplit=1)[0]
        if not name.endswith(":"):  # the head of a mapping: its addresses … its file
            inside = line.endswith(f" {path.resolve()}")
        elif inside and name == "Rss:":
            total += 1024 * int(line.split()[1])
    return total


def rates(tokens: int, seconds: list[float]) -> dict[str, Any]:
    """Tokens a second of several runs: `median`, `low`, `high`, and the `seconds` of each run."""
    return {
        "median": round(tokens / statistics.median(seconds), 2),
        "low": round(tokens / max(seconds), 2),
        "high": round(tokens / min(seconds), 2),
        "seconds": [round(of, 6) for of in seconds],
    }


def timed(
    context: Any, prompt: list[int], generated: list[int], repetitions: int
) -> tuple[list[float], list[float], float]:
    """The seconds that the prompt, and what is generated one by one, took in each repetition; and the CPU seconds of all."""
    import llama_cpp as api

    seconds: tuple[list[float], list[float]] = ([], [])
    used = 0.0
    for _ in range(repetitions):
        api.llama_memory_clear(api.llama_get_memory(context), True)
        start = time.process_time()
        seconds[0].append(decode(context, prompt))
        seconds[1].append(sum(decode(context, [token]) for token in generated))
        used += time.process_time() - start
    return *seconds, used


def one(path: Path, workload: Workload, threads: int) -> dict[str, Any]:
    """One measurement, in this process: see docs/outputs.md, bench.json. Raises UserError as `loaded` and `fitting` do."""
    import llama_cpp as api

    # Its logger has no level of its own and then tells of every graph.
    logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)
    api.llama_backend_init()
    before = resident("VmRSS")
    start = time.perf_counter()
    with loaded(path, workload, threads) as (model, context):
        load_seconds = time.perf_counter() - start
        count = fitting(workload, api.llama_model_n_ctx_train(model), str(path))
        # What is generated is given, not chosen: sampling is no part of it, as in llama-bench.
        tokens = filler(model, count + workload.generated_tokens)
        warm_up(context, tokens[: min(WARM_UP, count)])
        prompt, generation, used = timed(context, tokens[:count], tokens[count:], workload.repetitions)
        share = used / (threads * sum(prompt + generation))
        return {
            "threads": threads,
            "prompt_tokens": count,
            "prompt": rates(count, prompt),
            "generation": rates(workload.generated_tokens, generation),
            "answer_seconds": round(statistics.median(map(sum, zip(prompt, generation, strict=True))), 6),
            "core_share": round(share, 3),
            "disturbed": share < UNDISTURBED,
            "load_seconds": round(load_seconds, 3),
            "memory": {
                "peak_bytes": resident("VmHWM"),
                "before_bytes": before,
                "mapped_bytes": mapped(path),
            },
        }


def apart(path: Path, workload: Workload, threads: int) -> dict[str, Any]:
    """`one` in a fresh process. Raises UserError as it does, and if the process was killed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(one, path, workload, threads).result()
        except BrokenProcessPool:
            raise UserError(
                f"the process that measured this file with {threads} threads died",
                where=str(path),
                instead="more memory, if that was short (the kernel's log says so), or a smaller quant",
            ) from None


def measured_threads(asked: list[int], cores: int) -> tuple[list[int], list[dict[str, Any]]]:
    """The numbers of threads that have a core each, and the others with the reason: more threads than cores take turns, and would say
    nothing of a phone that has the cores. Raises UserError if none is left."""
    fit = [threads for threads in asked if threads <= cores]
    if not fit:
        raise UserError(
            f"none of {asked} threads can be measured on {cores} {'core' if cores == 1 else 'cores'}",
            where="bench.threads",
            instead=f"a number up to {cores} among them, or more cores for this job",
        )
    reason = f"more than the {cores} {'core' if cores == 1 else 'cores'} that could be used"
    return fit, [{"threads": threads, "reason": reason} for threads in asked if threads > cores]


def measure(ggufs: dict[str, Path], workload: Workload, threads: list[int], cores: int) -> dict[str, Any]:
    """What each GGUF takes at each number of threads, with at most `cores` cores: see docs/outputs.md, bench.json. Raises UserError if
    a file is missing or cannot be measured."""
    if missing := [path for path in ggufs.values() if not path.is_file()]:
        raise UserError("there is no such GGUF", where=str(missing[0]), instead="the path of a GGUF file")
    found: dict[str, Any] = {
        "machine": machine.describe(),
        "prompt_tokens": workload.prompt_tokens,
        "generated_tokens": workload.generated_tokens,
        "repetitions": workload.repetitions,
        "context": workload.context,
        "threads": threads,
        "cores": min(cores, len(os.sched_getaffinity(0))),
    }
    fit, found["left_out"] = measured_threads(threads, found["cores"])
    asked = [(name, count) for name in ggufs for count in fit]
    variants: dict[str, Any] = {
        name: {"size_bytes": path.stat().st_size, "measured": []} for name, path in ggufs.items()
    }
    for name, count in Progress(asked, what="measurements"):
        variants[name]["measured"].append(apart(ggufs[name], workload, count))
    return {**found, "variants": variants}


def write(ggufs: dict[str, Path], out: Path, workload: Workload, threads: list[int], cores: int) -> None:
    """Writes bench.json."""
    write_json(out / "bench.json", measure(ggufs, workload, threads, cores))
