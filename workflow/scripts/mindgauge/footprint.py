"""How much memory of a GPU training takes, from the numbers of an architecture, before anything is loaded.

Every term is a formula with its source; tests/unit/test_footprint.py holds them against what torch allocates for the tiny models, and
against published measurements.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import ceil, floor
from typing import Any

from mindgauge.architecture import Architecture
from mindgauge.errors import UserError

GIB = 1 << 30
# NF4: 4 bits, and a constant a block of 64, of 32 bits or double quantised (QLoRA, arXiv 2305.14314, section 3).
NF4_BYTES = {False: (4 + 32 / 64) / 8, True: (4 + 8 / 64 + 32 / (64 * 256)) / 8}
# The context, the kernels' code and cuBLAS' workspace: "the kernels alone take up 1.3GB" (transformers, Model training anatomy).
CONTEXT = 1.3e9
# TRL's fused head: tiles of so many positions by so many words of the vocabulary (trl 1.16, kernels/chunked_logprob.py).
TILE = (4096, 32768)
# The tokens of a template around a row, and of an answer; and rows differ: a fifth more is reckoned with.
TURNS, ANSWER, MARGIN = 32, 48, 1.2


@dataclass(frozen=True)
class Rows:
    """The rows of a training, in tokens: the longest, and the beginning (the instruction) that all share."""

    length: int
    shared: int = 0

    @classmethod
    def of(cls, characters: int, instruction: int, density: float, context: int) -> "Rows":
        """From the characters of the longest row and of the instruction in it, by `tokens_a_character`. None is longer than the
        context, to which rows are shortened."""
        length = min(context, ceil(characters * density * MARGIN) + TURNS)
        return cls(length, min(length, floor(instruction * density)))

    def tokens(self, numbers: Mapping[str, Any]) -> int:
        """The tokens of a batch of the longest rows: packed ones hold what they share once."""
        size, shared = numbers["batch_size"], self.shared if numbers["batching"] == "packed" else 0
        return int(shared + size * (self.length - shared))

    def pairs(self, numbers: Mapping[str, Any]) -> int:
        """The pairs of tokens in a batch's mask: packed rows share one, padded ones have one each."""
        packed = numbers["batching"] == "packed"
        return int(self.tokens(numbers) ** 2 if packed else numbers["batch_size"] * self.length**2)


@dataclass(frozen=True)
class Footprint:
    """The parts of an estimate, in bytes."""

    weights: float
    adapter: float
    activations: float
    loss: float
    overhead: float

    @property
    def total(self) -> float:
        """All of it, in bytes."""
        return sum(asdict(self).values())

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {value / GIB:.1f}" for name, value in asdict(self).items())
        return f"{self.total / GIB:.1f} GiB ({parts})"


def _width(numbers: Mapping[str, Any]) -> int:
    """Bytes of a number in the compute precision; on a GPU `auto` is bf16."""
    return 4 if numbers["precision"] == "fp32" else 2


def weights(of: Architecture, numbers: Mapping[str, Any]) -> float:
    """Bytes of the frozen base: parameters by the width of their kind. In 4 bits the layers' linear weights take NF4_BYTES each, while
    embeddings, head and norms stay as they are (bitsandbytes quantises linear layers but the head); `upcast` ones are in fp32."""
    width = _width(numbers)
    norms = of.layers * (of.norms * of.hidden + (2 * of.head_dim if of.head_norms else 0)) + of.hidden
    parts = {"norms": norms, "lm_head": of.vocabulary * of.hidden}
    upcast = sum((4 - width) * parts[name] for name in numbers["upcast"])
    if not numbers["load_in_4bit"]:
        return of.parameters * width + upcast
    linear = of.layers * sum(inside * outside for inside, outside in of.linear().values())
    return linear * NF4_BYTES[numbers["double_quant"]] + (of.parameters - linear) * width + upcast


def adapter_parameters(of: Architecture, numbers: Mapping[str, Any]) -> int:
    """Trainable parameters: r * (in + out) for each adapted layer (LoRA, arXiv 2106.09685, section 4.1), and with DoRA a magnitude
    for each of its outputs (arXiv 2402.09353, section 4.1)."""
    shapes = of.adapted(numbers["target_modules"]).values()
    magnitudes = sum(outside for _, outside in shapes) if numbers["use_dora"] else 0
    return int(of.layers * (numbers["lora_r"] * sum(inside + outside for inside, outside in shapes) + magnitudes))


def adapter(of: Architecture, numbers: Mapping[str, Any]) -> float:
    """Bytes of the adapter, its gradients and the optimiser's moments. PEFT keeps an adapter in fp32 over a bf16 base
    (autocast_adapter_dtype); TRL casts it to bf16 over a quantised one. AdamW has two moments a parameter in its precision (arXiv
    1711.05101), bitsandbytes' two of 8 bits with a constant a block of 256 (arXiv 2110.02861), Adafactor sums of rows and columns
    alone (arXiv 1804.04235)."""
    width = 2 if numbers["load_in_4bit"] else 4
    moments = 4 / numbers["lora_r"] if numbers["optimiser"] == "adafactor" else 2.0 * width
    if "8bit" in numbers["optimiser"]:
        moments = 2 * (1 + 4 / 256)
    return adapter_parameters(of, numbers) * (2 * width + moments)


def saved(of: Architecture, numbers: Mapping[str, Any], rows: Rows, mask: int = 1) -> float:
    """Bytes of what autograd keeps of one layer for a batch, counted as in arXiv 2205.05198, section 4.1, for layers whose own weights
    are frozen.

    Of a token: a frozen linear layer keeps nothing, an adapted one its input (in bf16 a copy of its own, in fp32 without dropout one
    that layers side by side share), dropout's mask of `mask` bytes a number (1 on a GPU, 4 on a CPU), and r numbers between A and B;
    with DoRA also what the base says and, in fp32, what the adapter adds. A norm keeps its input in fp32; attention (torch's scaled_dot_product_attention) query,
    key, value, result and a log-sum a head, key and value repeated to all heads, as they are where there is a mask; the MLP its gate,
    the activated gate and the other factor. Of a pair of tokens: the mask in the compute precision, or with `eager` every head's
    shares in fp32 and in the compute precision."""
    width, r = _width(numbers), numbers["lora_r"]
    shapes = of.adapted(numbers["target_modules"])
    asked, kept = of.heads * of.head_dim, of.kv_heads * of.head_dim
    norms = 4 * (of.norms * of.hidden + (asked + kept if of.head_norms else 0) + of.norms + of.heads)
    inputs = sum(inside for inside, _ in shapes.values())
    if width == 2 or numbers["lora_dropout"]:
        copies = width * inputs + (mask * inputs if numbers["lora_dropout"] else 0)
    else:  # attention's result, which o_proj reads, is counted below
        shared = {name.partition(".")[0]: inside for name, (inside, _) in shapes.items() if inside == of.hidden}
        copies = width * (sum(shared.values()) + (of.intermediate if "mlp.down_proj" in shapes else 0))
    if numbers["use_dora"]:
        copies += (width + 4) * sum(outside for _, outside in shapes.values())
    token = norms + copies + width * (r * len(shapes) + 4 * asked + 3 * of.intermediate)
    pair = of.heads * (4 + width) if numbers["attention"] == "eager" else width
    return rows.tokens(numbers) * token + rows.pairs(numbers) * pair


def activations(of: Architecture, numbers: Mapping[str, Any], rows: Rows, *, checkpointing: bool) -> float:
    """Bytes of activations of a batch at the peak, in the backward pass of a layer.

    With checkpointing the input of every layer and, while it is computed again, the whole of one layer (arXiv 1604.06174, section
    4.1); else the whole of all. Beside them the gradients under way, by measured peaks three numbers in fp32 for each of the MLP's
    width; the adapter's weights in bf16, autocast's copies, of the layers that are kept whole; and the mask as it was given."""
    tokens, width = rows.tokens(numbers), _width(numbers)
    whole = saved(of, numbers, rows)
    kept = of.layers * width * of.hidden * tokens + whole if checkpointing else of.layers * whole
    under_way = 3 * 4 * of.intermediate * tokens
    copies = 2 * adapter_parameters(of, numbers) / (of.layers if checkpointing else 1) if width == 2 else 0
    return kept + under_way + copies + rows.pairs(numbers)


def loss(of: Architecture, numbers: Mapping[str, Any], rows: Rows) -> float:
    """Bytes of the loss. Packed: the logits of the answers alone, in the compute precision and in fp32, their log-softmax, and the
    gradient (trainer.py). Padded: TRL's fused head never holds more of them than a tile of TILE, in the compute precision and once in
    fp32, and the gradient of the last hidden states in fp32."""
    width = _width(numbers)
    if numbers["batching"] == "packed":
        return numbers["batch_size"] * ANSWER * of.vocabulary * (width + 3 * 4)
    tokens = rows.tokens(numbers)
    return min(tokens, TILE[0]) * min(of.vocabulary, TILE[1]) * (width + 4) + 4 * tokens * of.hidden


def estimate(of: Architecture, numbers: Mapping[str, Any], rows: Rows, *, checkpointing: bool) -> Footprint:
    """The memory of each GPU while training with `numbers` (the section `train`) on `rows`. FSDP deals weights and adapter to all."""
    processes = numbers["gpus"] * numbers["nodes"] if numbers["parallel"] == "fsdp" else 1
    # A quantised layer is unpacked for its product, one at a time; with DoRA base and adapter are added up for their norms.
    largest = max(inside * outside for inside, outside in of.linear().values())
    unpacked = largest * ((2 if numbers["load_in_4bit"] else 0) + (4 if numbers["use_dora"] else 0))
    return Footprint(
        weights(of, numbers) / processes,
        adapter(of, numbers) / processes,
        activations(of, numbers, rows, checkpointing=checkpointing),
        loss(of, numbers, rows),
        CONTEXT + unpacked,
    )


def least(of: Architecture, numbers: Mapping[str, Any], rows: Rows) -> Footprint:
    """The estimate of what training comes down to where memory is short: with checkpointing, unless that is switched off."""
    return estimate(of, numbers, rows, checkpointing=numbers["activation_checkpointing"] != "off")


def _changes(numbers: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Changes of the training numbers that spare memory, the least first: none, smaller batches with the same rows a step, activations
    computed again where that was off, and a base in 4 bits."""
    size, steps = numbers["batch_size"], numbers["gradient_accumulation"]
    again = {"activation_checkpointing": "on"} if numbers["activation_checkpointing"] == "off" else {}
    smaller: list[dict[str, Any]] = [{}]
    while size % 2 == 0:
        size, steps = size // 2, steps * 2
        smaller.append({"batch_size": size, "gradient_accumulation": steps})
    for further in ({}, again, {**again, "load_in_4bit": True}):
        yield from ({**batch, **further} for batch in smaller)


def fitting(of: Architecture, numbers: Mapping[str, Any], rows: Rows, limit: float) -> dict[str, Any] | None:
    """The least change of the training numbers that fits into `limit` bytes; empty if none is needed, None if none does."""
    for change in _changes(numbers):
        if least(of, {**numbers, **change}, rows).total <= limit:
            return change
    return None


def check(model: str, of: Architecture, numbers: Mapping[str, Any], rows: Rows, gib: float) -> tuple[str, str]:
    """What to say of a training on GPUs of `gib` GiB, and what would fit instead; two empty texts if it fits as it is. That is advice,
    since training halves a batch by itself when memory runs out, after some lost minutes. Raises UserError if smaller batches do not
    do."""
    found = least(of, numbers, rows)
    if found.total <= gib * GIB:
        return "", ""
    change = fitting(of, numbers, rows, gib * GIB)
    said = f"training {model} on rows of up to {rows.length} tokens takes about {found}, and the GPU has {gib:g} GiB"
    instead = "a smaller context, a smaller model, or a larger GPU"
    if change is not None:
        instead = f"train: {{{', '.join(f'{name}: {str(value).lower()}' for name, value in change.items())}}}"
    if change is None or change.keys() & {"load_in_4bit", "activation_checkpointing"}:
        where = f"models.yaml: {model}.train, and site.gpu_memory_gib of the config"
        raise UserError(said, where=where, instead=instead)
    return said, instead
