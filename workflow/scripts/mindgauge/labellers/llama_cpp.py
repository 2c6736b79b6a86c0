"""The backend `llama-cpp`: a GGUF in process, held to the valid answers by an exact grammar.

Each answer is appended and synced as it is given, so a killed job goes on where it was.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mindgauge.answers import gbnf, parse
from mindgauge.errors import UserError
from mindgauge.labels import Scheme
from mindgauge.records import Record


def _answered(path: Path) -> dict[str, dict[str, Any]]:
    """The answers given before; a last line cut off by a kill is not one."""
    held = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            row = json.loads(line)
            held[row["id"]] = row
    return held


def label(
    records: Iterable[Record], scheme: Scheme, model: Path, work: Path, instruction: str, context: int
) -> Iterator[dict[str, Any]]:
    """Asks the model, through the chat template of its GGUF, for the labels of each record. Raises UserError if the GGUF
    cannot be loaded."""
    from llama_cpp import Llama, LlamaGrammar

    try:
        llama = Llama(str(model), n_ctx=context, n_gpu_layers=-1, seed=0, verbose=False)
    except ValueError:
        raise UserError(
            "llama.cpp cannot load this file", where=f"label.model: {model}", instead="a GGUF of a chat model"
        ) from None
    grammar = LlamaGrammar.from_string(gbnf(scheme), verbose=False)
    journal = work / "answers.jsonl"
    held = _answered(journal)
    # Written anew without a line that was cut off, so that the next one does not go on in it.
    with journal.open("w", encoding="utf-8") as out:
        for row in held.values():
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        for record in records:
            if record.id not in held:
                words = record.words("client")
                overhead = len(llama.tokenize(instruction.encode())) + 128
                ids = llama.tokenize(words.encode(), add_bos=False)
                if len(ids) > context - overhead:  # the end of what is said is the most recent
                    words = llama.detokenize(ids[-(context - overhead) :]).decode("utf-8", "ignore")
                answer: Any = llama.create_chat_completion(
                    [{"role": "user", "content": f"{instruction}\n{words}"}],
                    grammar=grammar,
                    temperature=0.0,
                    max_tokens=96,
                )
                labels = parse(scheme, answer["choices"][0]["message"]["content"])
                held[str(record.id)] = {"id": record.id, "labels": labels, "evidence": {}}
                out.write(json.dumps(held[str(record.id)], ensure_ascii=False) + "\n")
                out.flush()
                os.fsync(out.fileno())
            yield held[str(record.id)]
