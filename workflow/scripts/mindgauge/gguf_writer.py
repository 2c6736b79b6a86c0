"""Writing a GGUF of float32 tensors (format: ggml, docs/gguf.md, version 3). The converter's own writer is not on the path of
a step, and an importance matrix needs no more than this."""

import struct
from pathlib import Path

import numpy as np

from mindgauge.files import atomic_path
from mindgauge.gguf_header import ARRAY, STRING

ALIGNMENT = 32
UINT32, FLOAT32 = 4, 0

Value = str | int | list[str]


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(_string, value))


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGNMENT)


def write_gguf(path: Path, values: dict[str, Value], tensors: dict[str, np.ndarray]) -> None:
    """Writes key-values and tensors in their order: the same ones are the same bytes."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(_string(name) + _value(value) for name, value in values.items())
    data = b""
    for name, tensor in tensors.items():
        shape = tensor.shape[::-1]  # ggml names the dimension first in which neighbours lie side by side
        head += _string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", FLOAT32, len(data))
        data += tensor.astype("<f4").tobytes()
        data += _padding(len(data))
    with atomic_path(path) as aside:
        aside.write_bytes(head + _padding(len(head)) + data)
