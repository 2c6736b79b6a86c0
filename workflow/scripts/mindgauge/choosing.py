"""The quant AUTO: quants tried in order until one says what the merged model says. Chosen on validation rows, so that the test rows,
on which its gates are decided afterwards, had no part in the choice."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindgauge import fidelity, inference, quantising
from mindgauge.chat import Chat
from mindgauge.comparisons import compare
from mindgauge.errors import UserError
from mindgauge.evaluating import held_answers, rows_of
from mindgauge.files import read_jsonl, write_json
from mindgauge.gates import Gates, outcome, verify
from mindgauge.judging import predicted
from mindgauge.labels import Scheme
from mindgauge.predictions import Predictions, from_rows


def _answers(
    gguf: Path, chat: Chat, held: list[dict[str, Any]], scheme: Scheme, context: int, batch_size: int, threads: int
) -> tuple[Predictions, float]:
    """What a GGUF answers to rows, held to the valid answers; and the share of prompts whose tokens llama.cpp agrees on."""
    asked = inference.prompts(chat, held, context)
    parity = inference.token_parity(inference.load_gguf(gguf, context, weights=False), asked)
    choices = inference.held_gguf(chat, gguf, asked, scheme, context, batch_size, threads)
    return from_rows(scheme, rows_of(held, held_answers(choices, len(asked))), "val"), parity


def choose(
    inputs: dict[str, Path],
    out: Path,
    work: Path,
    *,
    tries: Sequence[dict[str, Any]],
    gates: dict[str, Any],
    labels: dict[str, Any],
    family: str,
    template: str,
    context: int,
    max_new_tokens: int,
    batch_size: int,
    rows: int,
    threads: int = 1,
) -> None:
    """Writes model.gguf and tensors.json of the first of `tries` (`quant`, `imatrix`) that passes, or of the last if none does, and
    choice.json: `passed` (its name, or null) and what was found of each that was tried.

    Asked are the gates that hold a GGUF against the merged model (gates.verify) but the one on free answers, which the merged model
    gives to test rows alone; what rests on too few validation rows to be decided stands in no quant's way here. `inputs`: convert, merge, sft, evaluate (of the merged model), and imatrix if a try wants it. Raises
    UserError if there are no validation rows.
    """
    scheme = Scheme.from_dict(labels)
    thresholds = Gates.model_validate({**gates, "free_drop_max": None, "undecided": "pass"})
    chat = Chat.load(inputs["merge"], template, family)
    file = inputs["sft"] / "val.jsonl"
    held = list(read_jsonl(file))
    before = predicted(scheme, inputs["evaluate"], "constrained", "val")
    if before is None or not held:
        raise UserError("there is no validation row to choose a quant by", where="sft.val", instead="a larger share")
    found: list[dict[str, Any]] = []
    made = work
    for number, one in enumerate(tries):
        name = one["quant"] + ("+imatrix" if one["imatrix"] else "")
        made = work / f"{number}-{name}"
        made.mkdir(exist_ok=True)
        quantising.quantise(
            inputs["convert"], made, one["quant"], inputs["imatrix"] / "imatrix.gguf" if one["imatrix"] else None
        )
        gguf = made / "model.gguf"
        answers, parity = _answers(gguf, chat, held, scheme, context - max_new_tokens, batch_size, threads)
        measured = fidelity.compared(
            inputs["merge"],
            {name: gguf},
            file,
            family=family,
            template=template,
            context=context,
            rows=rows,
            threads=threads,
        )["variants"][name]
        checks = verify(thresholds, None, None, compare(before, answers), measured, parity, full=None)
        failed = [check for check in checks if check["status"] == "fail"]
        reasons = [check["reason"] for check in failed]
        gate = outcome(thresholds, checks)
        print(f"{name}: {gate} {'; '.join(reasons)}".rstrip(), file=sys.stderr, flush=True)
        found.append(
            {
                "name": name,
                "gate": gate,
                "reasons": reasons,
                "words": [check["words"]["reason"] for check in failed],
                "kld_mean": measured["kld"]["mean"],
                "size_bytes": gguf.stat().st_size,
            }
        )
        if gate == "pass":
            break
    for product in ("model.gguf", "tensors.json"):
        (made / product).rename(out / product)
    passed = found[-1]["name"] if found[-1]["gate"] == "pass" else None
    write_json(out / "choice.json", {"rows": len(held), "passed": passed, "tries": found})
