"""The header of a GGUF file (format: ggml, docs/gguf.md, version 3): key-values and tensor table; hashes of its tensors."""

import hashlib
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
    """One row of the tensor table; `type` is ggml's number of the type, `offset` where in the file its bytes begin."""

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
    """Key-values, tensors, and the bytes of tensor data behind them."""

    values: dict[str, Any]
    tensors: list[Tensor]
    data_bytes: int


def _number(file: BinaryIO, form: str) -> Any:
    held = file.read(struct.calcsize(form))
    if len(held) < struct.calcsize(form):
        raise UserError(
            "this GGUF ends in its header", where=file.name, instead="the whole file: make or copy it again"
        )
    return struct.unpack(form, held)[0]


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
    """The header of a file. Raises UserError if it is not a GGUF, or is cut off."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF" or _number(file, "<I") not in (2, 3):
            raise UserError("this file is not a GGUF", where=str(path), instead="a .gguf of version 2 or 3")
        tensor_count, value_count = _number(file, "<Q"), _number(file, "<Q")
        values = {}
        for _ in range(value_count):
            name = _string(file)
            values[name] = _value(file, _number(file, "<I"))
        table = []
        for _ in range(tensor_count):
            name = _string(file)
            shape = tuple(_number(file, "<Q") for _ in range(_number(file, "<I")))
            table.append((name, shape, _number(file, "<I"), _number(file, "<Q")))
        alignment = values.get("general.alignment", 32)
        start = -(-file.tell() // alignment) * alignment
    tensors = [Tensor(name, shape, kind, start + offset) for name, shape, kind, offset in table]
    size = path.stat().st_size
    if tensors and max(of.offset for of in tensors) >= size:
        raise UserError("this GGUF is cut off", where=str(path), instead="the whole file: make or copy it again")
    return Header(values, tensors, size - start)


def tensor_hashes(path: Path) -> dict[str, str]:
    """name -> sha256 of a tensor's bytes (with the padding up to the next one): what stays as it is when only key-values change."""
    tensors = sorted(read_header(path).tensors, key=lambda of: of.offset)
    found = {}
    with path.open("rb") as file:
        for number, tensor in enumerate(tensors):
            file.seek(tensor.offset)
            end = tensors[number + 1].offset if number + 1 < len(tensors) else path.stat().st_size
            found[tensor.name] = hashlib.sha256(file.read(end - tensor.offset)).hexdigest()
    return found
