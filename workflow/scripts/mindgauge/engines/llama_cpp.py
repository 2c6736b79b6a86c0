"""The answering engine on a GGUF by llama.cpp.

One context holds what the prompts share (sequence 0) and several records, a sequence for each. Every batch is filled up: first
with the forced tokens of the records under way, then with the tokens of the next prompts; only the last token before a choice
computes logits. So the tokens of an answer, a few at a time, cost little more than as many tokens of a prompt.
"""

import ctypes
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mindgauge.engines import Choice, Draw, Drawing, shared, windows
from mindgauge.engines.walk import Ask, Walk
from mindgauge.errors import UserError
from mindgauge.trie import Trie

# Prompts read ahead, for each record under way: enough to keep batches full, and few enough to hold.
AHEAD = 8
PREFIX = 0
# Tokens of a batch. A core is as fast with few, and then fewer records are under way: each one's attention passes over the
# cells of all, masked or not (llama.cpp takes queries in tiles of 64, and a tile passes over what any of its queries sees:
# ggml/src/ggml-cpu/ops.cpp, ggml_compute_forward_flash_attn_ext_tiled). Answers in batches of their own, below a tile, where each
# query passes over its own cells, were tried: as fast on AVX2, slower on AVX-512. A GPU needs many tokens to be busy.
CPU_BATCH, GPU_BATCH = 128, 512
# Records under way: more than a few only lengthen what a core's attention passes over.
CPU_RECORDS = 6
# Tokens that a record takes beside what all share, with room to spare.
RECORD = 512


def sized(context: int, records: int) -> dict[str, int]:
    """`context` and `records` of an engine that holds prompts and answers of up to `context` tokens, `records` together where a GPU
    is there to be kept busy, else a few."""
    import llama_cpp

    together = records if llama_cpp.llama_supports_gpu_offload() else min(records, CPU_RECORDS)
    return {"context": max(context, RECORD * together), "records": together}


@dataclass
class _Record:
    """A record under way: its cells reserved, and the sequence of each answered ask that is still needed."""

    number: int
    own: list[int]
    start: int
    walk: Walk
    cells: int
    sequences: dict[Ask | None, int] = field(default_factory=dict)


@dataclass
class _Job:
    """Tokens on their way into the context. The last one's logits are the answer to `ask`; None: to nothing."""

    tokens: list[int]
    position: int
    sequence: int
    record: _Record | None = None
    ask: Ask | None = None


class _Batch:
    """A llama_batch over arrays of our own, so that tokens are written in bulk and nothing has to be freed."""

    def __init__(self, size: int) -> None:
        import llama_cpp

        self.size = size
        self.token, self.position, self.sequence = (np.zeros(size, dtype=np.int32) for _ in range(3))
        self.counts, self.flags = np.ones(size, dtype=np.int32), np.zeros(size, dtype=np.int8)
        of = ctypes.POINTER(llama_cpp.llama_seq_id)
        first = self.sequence.ctypes.data
        self.pointers = (of * size)(*(ctypes.cast(first + 4 * row, of) for row in range(size)))

        def pointer(array: np.ndarray, kind: Any) -> Any:
            return array.ctypes.data_as(ctypes.POINTER(kind))

        self.struct = llama_cpp.llama_batch(
            n_tokens=0,
            token=pointer(self.token, llama_cpp.llama_token),
            embd=None,
            pos=pointer(self.position, llama_cpp.llama_pos),
            n_seq_id=pointer(self.counts, ctypes.c_int32),
            seq_id=self.pointers,
            logits=pointer(self.flags, ctypes.c_int8),
        )

    @property
    def room(self) -> int:
        """Tokens that can still be added."""
        return self.size - self.struct.n_tokens

    def clear(self) -> None:
        """Empties the batch."""
        self.struct.n_tokens = 0

    def add(self, job: _Job) -> int | None:
        """Moves as many of the job's tokens as there is room for into the batch; the row of its last one, once that is in."""
        count = min(len(job.tokens), self.room)
        rows = slice(self.struct.n_tokens, self.struct.n_tokens + count)
        self.token[rows] = job.tokens[:count]
        self.position[rows] = np.arange(job.position, job.position + count)
        self.sequence[rows], self.flags[rows] = job.sequence, 0
        self.struct.n_tokens += count
        job.tokens, job.position = job.tokens[count:], job.position + count
        if job.tokens or job.ask is None:
            return None
        self.flags[rows.stop - 1] = 1
        return rows.stop - 1


class LlamaCppEngine:
    """A GGUF held to the answers of a trie. Close it, or use it in a `with`: it holds the model's memory."""

    def __init__(
        self,
        model: Path,
        trie: Trie,
        *,
        context: int = 2048,
        batch: int | None = None,
        records: int = 16,
        threads: int | None = None,
    ) -> None:
        """Loads the GGUF, all layers on a GPU if llama.cpp was built for one.

        `context` is the number of tokens kept at one time, what the prompts share and all records under way together; at most
        `records` of these are under way, fewer if the context is short; `batch` tokens are evaluated at once, None for what
        suits the build (see CPU_BATCH); `threads` None takes every core the process may use.

        Raises UserError if the GGUF cannot be loaded, does not hold the trie's tokens, or the context is too small.
        """
        import llama_cpp

        # Its logger has no level of its own and then tells of every graph; what a caller set stays.
        logger = logging.getLogger("llama-cpp-python")
        logger.setLevel(logger.level or logging.ERROR)
        self.api: Any = llama_cpp
        self.trie, self.path = trie, model
        self.model: Any = None
        self.context: Any = None
        try:
            self._load()
            default = GPU_BATCH if llama_cpp.llama_supports_gpu_offload() else CPU_BATCH
            self._open(context, batch or default, records, threads or len(os.sched_getaffinity(0)))
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        """Loads the model."""
        if not self.path.is_file():
            raise UserError("there is no such GGUF", where=str(self.path), instead="the path of a GGUF file")
        params = self.api.llama_model_default_params()
        params.n_gpu_layers = -1
        self.api.llama_backend_init()
        self.model = self.api.llama_model_load_from_file(str(self.path).encode(), params)
        if not self.model:
            raise UserError(
                "llama.cpp cannot load this file",
                where=str(self.path),
                instead="a complete GGUF of a causal language model",
            )
        self.words = self.api.llama_vocab_n_tokens(self.api.llama_model_get_vocab(self.model))
        if self.trie.largest >= self.words:
            raise UserError(
                f"the answers have token {self.trie.largest}, the model only {self.words} tokens",
                where=str(self.path),
                instead="the tokenizer that belongs to this GGUF",
            )

    def _open(self, context: int, batch: int, records: int, threads: int) -> None:
        """Makes the context and the batch."""
        most = (self.api.llama_max_parallel_sequences() - 1) // self.trie.branches
        self.records = min(records, most, context // self.trie.room)
        if self.records < 1:
            raise UserError(
                f"a context of {context} tokens is too small: an answer alone takes {self.trie.room}",
                where=str(self.path),
                instead="a larger context",
            )
        params = self.api.llama_context_default_params()
        params.n_ctx = context
        # One batch is one pass over the weights.
        params.n_batch = params.n_ubatch = min(batch, context)
        params.n_seq_max = 1 + self.records * self.trie.branches
        # Rows that compute logits: without this bound llama.cpp reserves a row of the vocabulary's size for every token.
        params.n_outputs_max = params.n_seq_max
        # Records share the cells of one cache, so long and short ones fill it, and a copied sequence copies no cell.
        params.kv_unified = True
        # Otherwise a model with a sliding window drops tokens of the shared beginning that later records need.
        params.swa_full = True
        params.n_threads = params.n_threads_batch = threads
        self.context = self.api.llama_init_from_model(self.model, params)
        if not self.context:
            raise UserError(
                f"llama.cpp has no memory for a context of {context} tokens",
                where=str(self.path),
                instead="a smaller context",
            )
        self.memory = self.api.llama_get_memory(self.context)
        self.cells = self.api.llama_n_ctx(self.context)
        self.longest = min(self.cells, self.api.llama_model_n_ctx_train(self.model)) - self.trie.room
        self.batch = _Batch(params.n_batch)
        self.prefix: list[int] = []

    def __enter__(self) -> "LlamaCppEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees context and model; a second call does nothing."""
        if self.context:
            self.api.llama_free(self.context)
        if self.model:
            self.api.llama_model_free(self.model)
        self.context = self.model = None

    def answer(self, prompts: Iterable[Sequence[int]], draw: Drawing | None = None) -> Iterator[Choice]:
        """A choice for each prompt, in their order (see `engines.Engine`)."""
        for window in windows(prompts, AHEAD * self.records, self.longest):
            if not self.context:
                raise RuntimeError("the engine is closed")
            try:
                found = self._window(window, draw)
            except BaseException:  # what was under way must not stay in the context
                self.api.llama_memory_clear(self.memory, True)
                self.prefix = []
                raise
            yield from found

    def _window(self, prompts: list[list[int]], draw: Drawing | None) -> list[Choice]:
        start = shared(prompts)
        self._share(prompts[0][:start])
        # The longest first, so that short ones fill what room the others leave.
        waiting = sorted(
            (
                _Record(number, prompt[start:], start, walk, len(prompt) - start + self.trie.room)
                for number, prompt in enumerate(prompts)
                for walk in [Walk(self.trie, Draw(*draw, prompt) if draw else None)]
            ),
            key=lambda record: -record.cells,
        )
        found: list[Choice | None] = [None] * len(prompts)
        self.free = list(range(1, 1 + self.records * self.trie.branches))
        self.room, self.places = self.cells - start, self.records
        jobs: list[_Job] = []
        while waiting or jobs:
            self._admit(waiting, jobs)
            for job, logits in self._decode(jobs):
                assert job.record is not None and job.ask is not None
                self._answered(job, logits, jobs)
                if choice := job.record.walk.choice:
                    found[job.record.number] = choice
        return [choice for choice in found if choice is not None]

    def _share(self, prefix: list[int]) -> None:
        """Makes sequence 0 hold exactly `prefix`; what it held before is used as far as it goes."""
        kept = next(
            (at for at, pair in enumerate(zip(prefix, self.prefix, strict=False)) if pair[0] != pair[1]),
            min(len(prefix), len(self.prefix)),
        )
        self._remove(PREFIX, kept)
        jobs = [_Job(prefix[kept:], kept, PREFIX)] if prefix[kept:] else []
        self.prefix = prefix
        while jobs:
            self._decode(jobs)

    def _admit(self, waiting: list[_Record], jobs: list[_Job]) -> None:
        """Starts records while the batch has tokens to spare and the context has room for them."""
        tokens = sum(len(job.tokens) for job in jobs)
        for record in list(waiting):
            if tokens >= self.batch.size or not self.places:
                return
            if record.cells <= self.room:
                waiting.remove(record)
                self.room, self.places = self.room - record.cells, self.places - 1
                (ask,) = record.walk.asks
                sequence = self.free.pop()
                self.api.llama_memory_seq_cp(self.memory, PREFIX, sequence, -1, -1)
                tokens += len(record.own) + len(ask.node.tokens)
                jobs.append(_Job([*record.own, *ask.node.tokens], record.start, sequence, record, ask))

    def _decode(self, jobs: list[_Job]) -> list[tuple[_Job, np.ndarray]]:
        """Evaluates one batch from the front of `jobs`; the jobs that are through, and their logits of the allowed tokens."""
        self.batch.clear()
        through = []
        while jobs and self.batch.room:
            row = self.batch.add(jobs[0])
            if not jobs[0].tokens:
                job = jobs.pop(0)
                if row is not None:
                    through.append((job, row))
        if status := self.api.llama_decode(self.context, self.batch.struct):
            raise RuntimeError(f"llama_decode failed with status {status}")
        found = []
        for job, row in through:
            assert job.ask is not None
            logits = np.ctypeslib.as_array(self.api.llama_get_logits_ith(self.context, row), (self.words,))
            found.append((job, logits[job.ask.node.allowed]))
        return found

    def _answered(self, job: _Job, logits: np.ndarray, jobs: list[_Job]) -> None:
        """Takes the logits of a job, puts what the record asks next before the prompts that wait, and frees what it needs no
        more."""
        record, ask = job.record, job.ask
        assert record is not None and ask is not None
        record.sequences[ask] = job.sequence
        new = record.walk.answered(ask, logits)
        # How many of these continue each answered ask; what nothing continues is needed no more.
        held = Counter([one.parent for one in record.walk.asks] + record.walk.waiting)
        for parent in [parent for parent in record.sequences if not held[parent]]:
            sequence = record.sequences.pop(parent)
            self._remove(sequence, 0)
            self.free.append(sequence)
        for one in new:
            source = record.sequences[one.parent]
            held[one.parent] -= 1
            if held[one.parent]:
                sequence = self.free.pop()
                self.api.llama_memory_seq_cp(self.memory, source, sequence, -1, -1)
            else:  # nothing else continues it
                sequence = record.sequences.pop(one.parent)
            jobs.insert(
                0, _Job(list(one.node.tokens), record.start + len(record.own) + one.node.depth, sequence, record, one)
            )
        if record.walk.choice:
            self.room, self.places = self.room + record.cells, self.places + 1

    def _remove(self, sequence: int, start: int) -> None:
        if not self.api.llama_memory_seq_rm(self.memory, sequence, start, -1):
            raise RuntimeError("this model's memory cannot be cut back; only attention models can be asked")
