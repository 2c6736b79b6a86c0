"""The header of a GGUF file (format: ggml, docs/gguf.md, version 3): key-values and tensor table."""

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from mindgauge.errors import UserError

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class Tensor:
    """One row of the tensor table; `type` is ggml's number of the type, `offset` counts from where the data begin."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def elements(self) -> int:
        """How many weights."""
        return prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Key-values, tensors, and the bytes of tensor data behind them, which begin at `data_start`."""

    values: dict[str, Any]
    tensors: list[Tensor]
    data_start: int
    data_bytes: int


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "<Q")).decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        return [_value(file, inner) for _ in range(count)]
    return _number(file, SCALARS[kind])


def read_header(path: Path) -> Header:
    """The header of a file. Raises UserError if it is not a GGUF."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF" or _number(file, "<I") not in (2, 3):
            raise UserError("this file is not a GGUF", where=str(path), instead="a .gguf of version 2 or 3")
        tensor_count, value_count = _number(file, "<Q"), _number(file, "<Q")
        values = {}
        for _ in range(value_count):
            name = _string(file)
            values[name] = _value(file, _number(file, "<I"))
        tensors = []
        for _ in range(tensor_count):
            name = _string(file)
            shape = tuple(_number(file, "<Q") for _ in range(_number(file, "<I")))
            tensors.append(Tensor(name, shape, _number(file, "<I"), _number(file, "<Q")))
        alignment = values.get("general.alignment", 32)
        start = -(-file.tell() // alignment) * alignment
    return Header(values, tensors, start, path.stat().st_size - start)
