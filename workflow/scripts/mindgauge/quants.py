"""The quants by name, and what each is meant to be."""

from typing import Literal

Quant = Literal[
    "Q2_K",
    "Q3_K_M",
    "Q4_0",
    "Q4_K_S",
    "Q4_K_M",
    "Q4_K_L",
    "Q5_K_S",
    "Q5_K_M",
    "Q5_K_L",
    "Q6_K",
    "Q8_0",
    "IQ4_NL",
    "IQ4_XS",
]
# The GGUF that quants are made from.
Full = Literal["f16", "bf16"]
FULL: tuple[str, ...] = Full.__args__  # type: ignore[attr-defined]
QUANTS: tuple[str, ...] = Quant.__args__  # type: ignore[attr-defined]
# The first of several that passes (choosing.py).
AUTO = "AUTO"
# With an importance matrix, where it is told by the name.
WITH_IMATRIX = "+imatrix"
# llama.cpp rounds its blocks by their largest weight, whatever the importance of the others.
WITHOUT_IMATRIX = frozenset({"Q8_0"})

# The tensor type a quant stands for; rows not divisible by 256 fall back to another one.
MAIN_TYPE = {
    "Q2_K": "Q2_K",
    "Q3_K_M": "Q3_K",
    "Q4_0": "Q4_0",
    "Q4_K_S": "Q4_K",
    "Q4_K_M": "Q4_K",
    "Q4_K_L": "Q4_K",
    "Q5_K_S": "Q5_K",
    "Q5_K_M": "Q5_K",
    "Q5_K_L": "Q5_K",
    "Q6_K": "Q6_K",
    "Q8_0": "Q8_0",
    "IQ4_NL": "IQ4_NL",
    "IQ4_XS": "IQ4_XS",
}
# A K-quant mixes these on purpose (…_M keeps some tensors at more bits): they are no fallback.
MIXED = {"Q4_K", "Q5_K", "Q6_K", "Q2_K", "Q3_K", "IQ4_XS"}
# The others take Q6_K for the output, and with an importance matrix Q4_1 for the first layers of a Q4_0.
OTHERS = {"Q6_K", "Q4_1"}

# As others name them too: another quant whose embeddings and output, where errors cost most, are kept at Q8_0.
OUTER = {"Q4_K_L": "Q4_K_M", "Q5_K_L": "Q5_K_M"}


def meant(quant: str) -> set[str]:
    """The tensor types that a quant has on purpose."""
    mixed = MIXED if "K" in quant or quant.startswith("IQ4_XS") else OTHERS
    return {MAIN_TYPE[quant], *mixed} | ({"Q8_0"} if quant in OUTER else set())
