"""What of a model decides how much memory it takes: the numbers of its config.json, its parameters, and how its tokenizer cuts Chinese.

The base step writes them into its gate, so that the main process knows them without reading the model.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from mindgauge.errors import UserError
from mindgauge.files import read_json

# The numbers without which nothing can be said, as config.json names them.
NEEDED = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
# Words of the kind that rows hold.
WORDS = "我最近总是睡不着，上课也听不进去，一想到月考就心慌，跟室友说了两句又吵起来。有时候觉得自己什么都做不好，不知道该跟谁说。"


@dataclass(frozen=True)
class Architecture:
    """What of a model decides its memory. `norms`: RMS norms a layer beside those of the heads (`head_norms`)."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    norms: int
    head_norms: bool
    parameters: int

    @classmethod
    def read(cls, config: Mapping[str, Any], parameters: int) -> "Architecture | None":
        """From a config.json and the number of parameters; None if it is no plain decoder of the families' kind (the numbers are
        missing, or its layers are experts)."""
        text = config.get("text_config") or config
        if any(not isinstance(text.get(name), int) for name in NEEDED) or text.get("num_experts") or not parameters:
            return None
        kind = str(text.get("model_type", ""))
        heads = text["num_attention_heads"]
        return cls(
            layers=text["num_hidden_layers"],
            hidden=text["hidden_size"],
            intermediate=text["intermediate_size"],
            heads=heads,
            kv_heads=text.get("num_key_value_heads") or heads,
            head_dim=text.get("head_dim") or text["hidden_size"] // heads,
            vocabulary=text["vocab_size"],
            norms=4 if kind.startswith("gemma") else 2,
            head_norms=kind.startswith(("qwen3", "gemma3")),
            parameters=parameters,
        )

    def linear(self) -> dict[str, tuple[int, int]]:
        """The linear layers of a layer, as transformers names them below it: (in, out) of each."""
        asked, kept = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "self_attn.q_proj": (self.hidden, asked),
            "self_attn.k_proj": (self.hidden, kept),
            "self_attn.v_proj": (self.hidden, kept),
            "self_attn.o_proj": (asked, self.hidden),
            "mlp.gate_proj": (self.hidden, self.intermediate),
            "mlp.up_proj": (self.hidden, self.intermediate),
            "mlp.down_proj": (self.intermediate, self.hidden),
        }

    def adapted(self, targets: str | list[str]) -> dict[str, tuple[int, int]]:
        """Those of them that LoRA adapts, by PEFT's rule: `all-linear`, the ends of names, or one pattern for whole names."""

        def taken(name: str) -> bool:
            if targets == "all-linear":
                return True
            if isinstance(targets, str):
                return re.fullmatch(targets, f"model.layers.0.{name}") is not None
            return any(name == target or name.endswith(f".{target}") for target in targets)

        return {name: shape for name, shape in self.linear().items() if taken(name)}


def parameters(directory: Path) -> int:
    """How many numbers the weights of a model directory hold, from the headers of its safetensors alone. Raises UserError if one of
    them is cut off."""
    from safetensors import SafetensorError, safe_open

    count = 0
    for path in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(path, "np") as file:
                count += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
        except SafetensorError:
            raise UserError(
                "this file of weights is cut off", where=str(path), instead="the whole file: copy or fetch it again"
            ) from None
    return count


def tokens_a_character(directory: Path) -> float:
    """Tokens that the tokenizer of a model directory makes of a character of such words as it is asked about; 1 if it has no
    tokenizer.json."""
    from tokenizers import Tokenizer

    file = directory / "tokenizer.json"
    return (
        len(Tokenizer.from_file(str(file)).encode(WORDS, add_special_tokens=False)) / len(WORDS)
        if file.is_file()
        else 1.0
    )


def facts(directory: Path) -> dict[str, Any]:
    """What the gate of a base tells of it: `architecture` (None as `Architecture.read`) and `tokens_a_character`."""
    of = Architecture.read(read_json(directory / "config.json"), parameters(directory))
    return {"architecture": asdict(of) if of else None, "tokens_a_character": tokens_a_character(directory)}
