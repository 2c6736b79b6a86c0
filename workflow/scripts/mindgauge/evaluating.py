"""Evaluation of one variant of a model on the held-out rows, in two ways of answering: free greedy generation, as an app without
a grammar would see it, and held to exactly the valid answers. Against the labeller (test) and against humans (gold), kept apart."""

import gc
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindgauge import inference
from mindgauge.answers import AnswerError, canonical, parse
from mindgauge.chat import Chat
from mindgauge.code import code_hash
from mindgauge.engines import Choice
from mindgauge.figures import figures, rows_sha256
from mindgauge.files import files_below, read_jsonl, sha256_file, write_json, write_jsonl
from mindgauge.hashing import digest
from mindgauge.inference import Prompt, Reply
from mindgauge.intervals import SEED
from mindgauge.labels import Scheme, Value
from mindgauge.predictions import Predictions, from_rows
from mindgauge.progress import Progress
from mindgauge.result_schema import checked, dump

WEIGHTS = (".safetensors", ".gguf")
# `val` is only asked to fit temperatures and thresholds; `test` and `gold` are what figures are of. `other_view` is test once more,
# as the view shows it that the model is not trained on; held to valid answers only.
SETS = ("val", "test", "gold", "other_view")
JUDGED = ("test", "gold")
CONVERSATIONS, TURNS = 5, 3
LIBRARIES = ("numpy", "scipy", "scikit-learn")
DIGITS = 6


@dataclass(frozen=True)
class Answered:
    """What a way of answering gave for one row: labels (None: not valid, and `fault` says why), label -> str(value) -> probability
    where there are any, and whether free generation ended by itself."""

    labels: dict[str, Value] | None
    probabilities: dict[str, dict[str, float]] | None = None
    stopped: bool | None = None
    fault: str = ""


# set -> way -> an answer for each of its rows
Given = dict[str, dict[str, Sequence[Answered]]]


def held_out(sft: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows every variant and baseline is asked, by set."""
    return {name: list(read_jsonl(sft / f"{name}.jsonl")) for name in SETS}


def artifact(directories: Sequence[Path]) -> dict[str, Any]:
    """Size of the weights, and their sha256 (of one file, or over the several)."""
    found = [path for directory in directories for path in files_below(directory) if path.suffix in WEIGHTS]
    hashes = {path.name: sha256_file(path) for path in found}
    return {
        "size_bytes": sum(path.stat().st_size for path in found),
        "sha256": next(iter(hashes.values())) if len(hashes) == 1 else digest(hashes),
    }


def read_reply(scheme: Scheme, reply: Reply) -> Answered:
    """The answer in a freely generated reply: it must be nothing but the canonical keys and values."""
    try:
        return Answered(parse(scheme, reply.text), stopped=reply.stopped)
    except AnswerError as error:
        leaked = "<think>" in reply.text or "</think>" in reply.text
        fault = "reasoning instead of an answer" if leaked else str(error) if reply.stopped else f"no end; {error}"
        return Answered(None, stopped=reply.stopped, fault=fault)


def held_answers(choices: Iterable[Choice], total: int) -> list[Answered]:
    """The answers in `total` choices over the valid ones."""
    return [
        Answered(
            dict(choice.labels),
            {
                name: {str(value): round(p, DIGITS) for value, p in of.items()}
                for name, of in choice.probabilities.items()
            },
        )
        for choice in Progress(choices, total=total, what="rows, held to valid answers")
    ]


def rows_of(held: list[dict[str, Any]], answers: Sequence[Answered]) -> list[dict[str, Any]]:
    """The prediction rows of one set answered in one way (result_schema.Prediction), by id, without any text."""
    return [
        {
            "id": row["id"],
            "group": row["group"],
            "source": row["source"],
            "themes": row["themes"],
            "length": len(row["input"]),
            "reference": json.loads(row["output"]),
            "labels": answer.labels,
            "probabilities": answer.probabilities,
            "stopped": answer.stopped,
        }
        for row, answer in zip(held, answers, strict=True)
    ]


@dataclass(frozen=True)
class Made:
    """What a variant was made with, for its result records; None where there is no model."""

    model: str | None
    variant: str
    step: str
    model_sha256: str | None = None
    template: str | None = None
    instruction: str | None = None


def records(
    scheme: Scheme,
    rows: dict[str, list[dict[str, Any]]],
    given: Given,
    out: Path,
    made: Made,
    judged_by: dict[str, Any],
) -> dict[str, dict[str, Any]]:
    """Writes the prediction rows (predictions/<way>-<set>.jsonl) and returns way -> set -> its result record, checked by the schema.

    `judged_by`: `urgent` and `false_alarms` of the config. A set without rows has no record.
    """
    found: dict[str, dict[str, Any]] = {}
    for way in sorted({way for of in given.values() for way in of}):
        held: dict[str, Predictions] = {}
        for name in SETS:
            if rows[name] and way in given.get(name, {}):
                of = rows_of(rows[name], given[name][way])
                write_jsonl(out / f"predictions/{way}-{name}.jsonl", of)
                held[name] = from_rows(scheme, of, f"{way}-{name}")
        for name in SETS[1:]:
            if name not in held:
                continue
            file = f"predictions/{way}-{name}.jsonl"
            settings = {"urgent": judged_by["urgent"], "false_alarm_rate": judged_by["false_alarms"], "seed": SEED}
            result = {
                "model": made.model,
                "variant": made.variant,
                "way": way,
                "reference": "human" if name == "gold" else "labeller",
                "rows": len(held[name]),
                "rows_sha256": rows_sha256(held[name]),
                "predictions": file,
                "predictions_sha256": sha256_file(out / file),
                "model_sha256": made.model_sha256,
                "template_sha256": made.template and _sha256(made.template),
                "prompt_sha256": made.instruction and _sha256(made.instruction),
                "labels_sha256": digest(scheme.to_dict()),
                "code_sha256": code_hash(made.step),
                "versions": {library: version(library) for library in LIBRARIES},
                "settings": settings,
                "figures": figures(
                    held[name],
                    held.get("val"),
                    urgent=judged_by["urgent"],
                    false_alarm_rate=judged_by["false_alarms"],
                    seed=SEED,
                ),
            }
            found.setdefault(way, {})[name] = dump(checked(result, file))
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def conversations(
    chat: Chat,
    rows: list[dict[str, Any]],
    generate: Callable[[list[Prompt]], Iterator[Reply]],
    scheme: Scheme,
    room: int,
) -> dict[str, Any]:
    """Scripted conversations through the served template: what one row says, the answer, what another says, and so on. How many
    of the answers of each turn are valid. A valid answer stands in the conversation as the model gave it, another as the
    reference."""
    shortest = sorted(rows, key=lambda row: (len(row["input"]), row["id"]))
    count = min(CONVERSATIONS, len(shortest) // TURNS)
    scripts = [shortest[number::count][:TURNS] for number in range(count)]
    said: list[list[tuple[str, str]]] = [[] for _ in scripts]
    valid: list[dict[str, int]] = []
    for turn in range(TURNS if count else 0):
        asked = []
        for number, script in enumerate(scripts):
            said[number].append(("user", f"{script[turn]['instruction']}\n{script[turn]['input']}"))
            rendered = chat.conversation(said[number])
            asked.append(Prompt(rendered, chat.ids(rendered), False))
        fitting = [number for number, prompt in enumerate(asked) if len(prompt.ids) <= room]
        replies = dict(zip(fitting, generate([asked[number] for number in fitting]), strict=True))
        found = {number: read_reply(scheme, reply) for number, reply in replies.items()}
        valid.append({"asked": len(found), "valid": sum(of.labels is not None for of in found.values())})
        for number, script in enumerate(scripts):
            answer = found.get(number)
            kept = canonical(scheme, answer.labels) if answer and answer.labels else script[turn]["output"]
            said[number].append(("assistant", kept))
    return {"conversations": count, "turns": valid}


def evaluate(
    sft: Path,
    artifacts: dict[str, Path],
    out: Path,
    *,
    model: str,
    variant: str,
    kind: str,
    family: str,
    template: str,
    context: int,
    max_new_tokens: int,
    batch_size: int,
    false_alarms: float,
    urgent: list[str],
    labels: dict[str, Any],
    threads: int | None = None,
) -> None:
    """Writes metrics.json (its `results` are the result records: way -> set) and predictions/. `artifacts` holds `weights` (a model directory, or one with model.gguf), `tokenizer`,
    and for an adapter `base`."""
    scheme = Scheme.from_dict(labels)
    chat = Chat.load(artifacts["tokenizer"], template, family)
    rows = held_out(sft)
    room = context - max_new_tokens
    asked = {name: inference.prompts(chat, of, room) for name, of in rows.items()}
    judged = [prompt for name in JUDGED for prompt in asked[name]]
    everything = [prompt for name in SETS for prompt in asked[name]]
    parity = None
    if kind == "gguf":
        gguf = artifacts["weights"] / "model.gguf"
        llama = inference.load_gguf(gguf, context)
        parity = inference.token_parity(llama, judged)

        def generate(prompts: list[Prompt]) -> Iterator[Reply]:
            return inference.generate_gguf(chat, llama, prompts, max_new_tokens)

    else:
        adapted = "base" in artifacts
        loaded = (
            inference.load_adapted(artifacts["base"], artifacts["weights"])
            if adapted
            else inference.load_model(artifacts["weights"])
        )

        def generate(prompts: list[Prompt]) -> Iterator[Reply]:
            return inference.generate_hf(chat, loaded, prompts, max_new_tokens, batch_size)

    start = time.monotonic()
    free = [
        read_reply(scheme, reply)
        for reply in Progress(generate(judged), total=len(judged), what="rows, free generation")
    ]
    free_seconds = time.monotonic() - start
    several = conversations(chat, rows["test"], generate, scheme, room)
    if kind == "gguf":
        del llama
        gc.collect()  # the engine loads the weights itself
        choices = inference.held_gguf(chat, gguf, everything, scheme, context, batch_size, threads)
    else:
        choices = inference.held_hf(chat, loaded, everything, scheme, batch_size)
    start = time.monotonic()
    held = held_answers(choices, len(everything))
    held_seconds = time.monotonic() - start
    given: Given = {name: {} for name in SETS}
    for way, answers, names in (("free", free, JUDGED), ("constrained", held, SETS)):
        at = 0
        for name in names:
            given[name][way] = answers[at : at + len(rows[name])]
            at += len(rows[name])
    weights = artifact([artifacts["weights"]])
    instruction = next((row["instruction"] for of in rows.values() for row in of), None)
    made = Made(model, variant, "evaluate", weights["sha256"], template, instruction)
    write_json(
        out / "metrics.json",
        {
            "model": model,
            "variant": variant,
            "results": records(scheme, rows, given, out, made, {"urgent": urgent, "false_alarms": false_alarms}),
            "faults": {name: dict(Counter(of.fault for of in given[name]["free"] if of.fault)) for name in JUDGED},
            "conversations": several,
            "shortened": sum(prompt.shortened for prompt in judged),
            "token_parity": parity,
            "device": inference.device(kind),
            "seconds": round(free_seconds, 2),
            "constrained_seconds": round(held_seconds, 2),
            "rows_per_second": round(len(judged) / free_seconds, 2),
            "constrained_rows_per_second": round(len(everything) / held_seconds, 2),
            **weights,
        },
    )
