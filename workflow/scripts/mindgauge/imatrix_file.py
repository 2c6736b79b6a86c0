"""An importance matrix in the GGUF form of llama.cpp (tools/imatrix/imatrix.cpp), which its own quantiser reads, too."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindgauge.errors import UserError
from mindgauge.gguf_header import Tensor, read_header
from mindgauge.gguf_writer import FLOAT32, Value, write_gguf

SUMS, COUNTS = ".in_sum2", ".counts"
# What the file says it was collected from: no path, which would name a person's directory.
DATASET = "sft/train"
AGAIN = "no such file, so that it is made anew; or `quantise: {imatrix: false}`"


@dataclass(frozen=True)
class Matrix:
    """Tensor -> the sum over tokens of the squares of what each of its columns was multiplied by (float32), and over how many
    tokens; `rows` is how many training rows they were of."""

    sums: dict[str, np.ndarray]
    counts: dict[str, int]
    rows: int

    def check(self, where: str, instead: str) -> None:
        """Raises UserError naming a tensor whose sums cannot be sums of squares, or that no token passed through."""
        for name, sums in self.sums.items():
            if not self.counts[name] > 0:
                raise UserError(f"no token passed through {name}", where=where, instead=instead)
            if not (np.isfinite(sums) & (sums >= 0)).all():
                raise UserError(f"the importance of {name} is not finite", where=where, instead=instead)

    def means(self) -> dict[str, np.ndarray]:
        """Tensor -> importance of its columns, as llama.cpp's quantiser takes it (tools/quantize/quantize.cpp)."""
        return {name: sums / np.float32(self.counts[name]) for name, sums in self.sums.items()}


def write(path: Path, matrix: Matrix) -> None:
    """Writes a matrix. llama.cpp counts in chunks of equal length; here a chunk is a row, of the mean length."""
    tokens = max(matrix.counts.values())
    tensors = {}
    for name in sorted(matrix.sums):
        tensors[name + SUMS] = matrix.sums[name].reshape(1, -1)
        tensors[name + COUNTS] = np.array([[matrix.counts[name]]], dtype=np.float32)
    values: dict[str, Value] = {
        "general.type": "imatrix",
        "imatrix.datasets": [DATASET],
        "imatrix.chunk_count": matrix.rows,
        "imatrix.chunk_size": tokens // matrix.rows,
    }
    write_gguf(path, values, tensors)


def read(path: Path) -> Matrix:
    """A written matrix. Raises UserError if it is none, or not whole."""
    header = read_header(path)
    if header.values.get("general.type") != "imatrix":
        raise UserError("this GGUF is no importance matrix", where=str(path), instead=AGAIN)
    found = {tensor.name: _data(path, tensor) for tensor in header.tensors}
    names = [name.removesuffix(SUMS) for name in found if name.endswith(SUMS)]
    for name in names:
        if name + COUNTS not in found:
            raise UserError(f"the importance matrix lacks {name}{COUNTS}", where=str(path), instead=AGAIN)
    matrix = Matrix(
        {name: found[name + SUMS] for name in names},
        {name: int(found[name + COUNTS][0]) for name in names},
        header.values["imatrix.chunk_count"],
    )
    matrix.check(str(path), AGAIN)
    return matrix


def _data(path: Path, tensor: Tensor) -> np.ndarray:
    if tensor.type != FLOAT32 or tensor.offset + 4 * tensor.elements > path.stat().st_size:
        raise UserError(f"{tensor.name} is cut off, or not in float32", where=str(path), instead=AGAIN)
    return np.fromfile(path, dtype="<f4", count=tensor.elements, offset=tensor.offset)


def check_fits(matrix: Matrix, tensors: Iterable[Tensor], where: str) -> None:
    """Raises UserError naming a weight matrix of a block that has no importance, or of another width: llama.cpp would
    quantise it without, and say so in its log alone."""
    for tensor in tensors:
        if not tensor.name.startswith("blk.") or len(tensor.shape) < 2:
            continue
        if tensor.name not in matrix.sums:
            raise UserError(f"the importance matrix lacks {tensor.name}", where=where, instead=AGAIN)
        if matrix.sums[tensor.name].size != tensor.shape[0]:
            raise UserError(
                f"the importance of {tensor.name} is of {matrix.sums[tensor.name].size} columns, not {tensor.shape[0]}",
                where=where,
                instead=AGAIN,
            )
