"""The importance matrix of a merged model: how much each column of its weight matrices is driven by training rows, so that
quantising errs where it matters least. Never by rows of val or test, which would make the quants look better than they are.

llama.cpp's collector is a program of its own and not in the library that is linked. So what it sums is summed over the merged
model's activations: of every weight matrix in a block the squares of its inputs, over all tokens of prompt and answer. The
embeddings and the output head have no importance, as by default there.
"""

import hashlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgauge.chat import Chat
from mindgauge.errors import UserError
from mindgauge.files import read_jsonl
from mindgauge.imatrix_file import Matrix, write
from mindgauge.progress import Progress

# A linear layer in transformers -> its name in a GGUF, in all families there are templates for.
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WITHOUT = "`quantise: {imatrix: false}`"


def tensor_name(module: str) -> str:
    """The tensor of a GGUF that a linear layer's weights become. Raises UserError if none is known."""
    parts = re.fullmatch(r"model\.layers\.(\d+)\.(\w+\.\w+)", module)
    if parts is None or parts[2] not in NAMES:
        raise UserError(
            f"the tensor that the layer {module} becomes in a GGUF is not known",
            where="imatrix",
            instead=f"a model of Qwen2, Qwen3, Llama, Gemma 3 or Mistral; or {WITHOUT}",
        )
    return f"blk.{parts[1]}.{NAMES[parts[2]]}.weight"


def chosen(rows: Iterable[dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
    """At most `count` of the rows, drawn by seed and id, so that an added row changes one of them at most. Rows that stand
    several times, for training's sake, count once."""
    distinct = {row["id"]: row for row in rows}

    def order(name: str) -> str:
        return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()

    return [distinct[name] for name in sorted(distinct, key=order)[:count]]


def collect(model: Any, examples: Iterable[list[int]]) -> Matrix:
    """The matrix of a model of transformers over rows as token ids. Raises UserError for a layer whose tensor is not known
    and for activations that are not finite."""
    import torch

    sums: dict[str, Any] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Any:
        def add(module: Any, given: tuple[Any, ...]) -> None:
            inputs = given[0].flatten(0, -2).double()
            sums[name] += inputs.square().sum(0)
            counts[name] += len(inputs)

        return add

    hooks = []
    for module, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and layer is not model.get_output_embeddings():
            name = tensor_name(module)
            sums[name], counts[name] = torch.zeros(layer.in_features, dtype=torch.float64), 0
            hooks.append(layer.register_forward_pre_hook(watch(name)))
    rows = 0
    with torch.inference_mode():
        for rows, ids in enumerate(examples, 1):  # noqa: B007
            # One token's logits: the head is the widest matrix, and nobody asks what it says.
            model(input_ids=torch.tensor([ids]), use_cache=False, logits_to_keep=1)
    for hook in hooks:
        hook.remove()
    matrix = Matrix({name: of.float().numpy() for name, of in sums.items()}, counts, rows)
    matrix.check("imatrix", f"a merged model whose activations are finite (a lower learning_rate); or {WITHOUT}")
    return matrix


def make(
    merged: Path, train: Path, out: Path, *, family: str, template: str, context: int, rows: int, seed: int
) -> None:
    """Writes imatrix.gguf from `rows` of the training rows in the file `train`, rendered as training renders them.

    In fp32 on the CPU, whatever there is, so that a machine's GPU decides nothing. Raises UserError if there is no row.
    """
    import torch
    from transformers import AutoModelForCausalLM

    chat = Chat.load(merged, template, family)
    examples = [chat.example(row, context) for row in chosen(read_jsonl(train), rows, seed)]
    if not examples:
        raise UserError("there is no training row", where="imatrix", instead=f"sources that yield some; or {WITHOUT}")
    tokens = sum(len(example.prompt) + len(example.completion) for example in examples)
    print(
        f"{len(examples)} training rows, {tokens} tokens, {sum(example.shortened for example in examples)} rows"
        f" shortened to {context} tokens",
        file=sys.stderr,
    )
    model = AutoModelForCausalLM.from_pretrained(str(merged), dtype=torch.float32, local_files_only=True).eval()
    ids = [example.prompt + example.completion for example in examples]
    write(out / "imatrix.gguf", collect(model, Progress(ids, what="rows")))
