"""Quantising by the linked llama.cpp, and reading back what was really written."""

import ctypes
from collections import Counter
from pathlib import Path
from typing import Any

from mindgauge import disk, imatrix_file
from mindgauge.errors import UserError
from mindgauge.files import sha256_file, write_json
from mindgauge.gguf_header import read_header, tensor_hashes
from mindgauge.imatrix_file import Matrix
from mindgauge.quants import OUTER, meant

# Of the size at 16 bits a weight: Q8_0 takes 8.5, the others less.
MOST = 8.5 / 16


def _type_names() -> dict[int, str]:
    import llama_cpp

    return {
        getattr(llama_cpp, name): name.removeprefix("GGML_TYPE_")
        for name in dir(llama_cpp)
        if name.startswith("GGML_TYPE_") and name != "GGML_TYPE_COUNT"
    }


def tensors(path: Path, quant: str | None) -> dict[str, Any]:
    """Types of the tensors of a GGUF and their sha256, its real bits per weight, and for a quant the share of weights that fell back.

    Read by the header (format: ggml, docs/gguf.md), so that nothing is loaded.
    """
    header = read_header(path)
    names = _type_names()
    weights: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    fell_back = matrices = 0
    for tensor in header.tensors:
        kind = names.get(tensor.type, str(tensor.type))
        counts[kind] += 1
        weights[kind] += tensor.elements
        if len(tensor.shape) > 1:
            matrices += tensor.elements
            fell_back += tensor.elements if quant and kind not in meant(quant) else 0
    total = sum(weights.values())
    return {
        "quant": quant or "F16",
        "tensors": dict(counts),
        "weights": dict(weights),
        "bits_per_weight": round(8 * header.data_bytes / total, 3),
        "fallback_share": round(fell_back / matrices, 4) if matrices else 0.0,
        "size_bytes": path.stat().st_size,
        "sha256": tensor_hashes(path),
    }


def _importance(matrix: Matrix) -> Any:
    """The matrix as llama.cpp wants it: an array that ends with a name of NULL. ctypes keeps alive what it points to."""
    import llama_cpp

    means = matrix.means()
    array = (llama_cpp.llama_model_imatrix_data * (len(means) + 1))()
    for at, (name, of) in enumerate(means.items()):
        array[at].name, array[at].size = name.encode(), of.size
        array[at].data = ctypes.cast((ctypes.c_float * of.size)(*of.tolist()), ctypes.POINTER(ctypes.c_float))
    return array


def quantise(source: Path, out: Path, quant: str, imatrix: Path | None = None) -> None:
    """Writes model.gguf and tensors.json from the full-precision GGUF, with the importance matrix in the file `imatrix` if one
    is given. Raises UserError if llama.cpp refuses, or if the matrix is not one of this model."""
    import llama_cpp

    disk.need(out, (source / "model.gguf").stat().st_size * MOST, "the quant")
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{OUTER.get(quant, quant)}")
    if quant in OUTER:
        params.token_embedding_type = params.output_tensor_type = llama_cpp.GGML_TYPE_Q8_0
    used = None
    if imatrix is not None:
        matrix = imatrix_file.read(imatrix)
        imatrix_file.check_fits(matrix, read_header(source / "model.gguf").tensors, str(imatrix))
        importance = _importance(matrix)
        params.imatrix = importance
        used = {"sha256": sha256_file(imatrix), "rows": matrix.rows}
    target = out / "model.gguf"
    if (
        llama_cpp.llama_model_quantize(str(source / "model.gguf").encode(), str(target).encode(), ctypes.byref(params))
        != 0
    ):
        raise UserError(
            f"llama.cpp could not quantise to {quant}", where="quantise", instead="another quant; the log says why"
        )
    write_json(out / "tensors.json", {**tensors(target, quant), "imatrix": used})
