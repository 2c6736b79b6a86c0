"""Conversion to GGUF by llama.cpp's official converter, of exactly the llama.cpp that llama-cpp-python links.

The converter lies only in the sdist of llama-cpp-python (FIELD_NOTES 1), which envs/setup.sh keeps; its sha256 is checked
against envs/sdist.lock and the converter's part of it unpacked.
"""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from mindgauge import disk
from mindgauge.errors import UserError
from mindgauge.files import read_json, sha256_file, write_json

DATA_FILES = ("hf_to_gguf.py",)
SDIST_LOCK = Path(__file__).parents[3] / "envs/sdist.lock"
PARTS = ("convert_hf_to_gguf.py", "conversion/", "gguf-py/")


def cache() -> Path:
    """Where envs/setup.sh keeps what is fetched or built once."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("MINDGAUGE_CACHE") or Path(home) / "mindgauge")


def sdist() -> Path:
    """The kept sdist of the installed llama-cpp-python. Raises UserError if it is missing or not the locked one."""
    name = f"llama_cpp_python-{importlib.metadata.version('llama-cpp-python')}.tar.gz"
    path = cache() / "sdist" / name
    locked = {line.split()[1]: line.split()[0] for line in SDIST_LOCK.read_text().splitlines() if line.strip()}
    if name not in locked:
        raise UserError(
            f"{name} is not locked", where=str(SDIST_LOCK), instead="the version of envs/lock.txt: make setup"
        )
    if not path.is_file() or sha256_file(path) != locked[name]:
        raise UserError(
            f"the kept sources {name} are missing or not the locked ones",
            where=str(path),
            instead="make setup (it fetches them)",
        )
    return path


def unpack(into: Path) -> Path:
    """Unpacks the converter's part of the sdist; returns the directory of convert_hf_to_gguf.py."""
    with tarfile.open(sdist()) as archive:
        root = archive.getnames()[0].split("/")[0] + "/vendor/llama.cpp/"
        members = [
            member for member in archive.getmembers() if member.name.startswith(tuple(root + part for part in PARTS))
        ]
        # Debian 12's Python 3.11.2 has no filters yet; the archive's sha256 is checked either way.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(into, members=members)
    return into / root


def whole(model: Path) -> int:
    """The bytes of a model directory's weights. Raises UserError if a file that its index names is missing, or one is cut off."""
    from safetensors import SafetensorError, safe_open

    index = model / "model.safetensors.index.json"
    named = set(read_json(index)["weight_map"].values()) if index.is_file() else set()
    found = {path.name for path in model.glob("*.safetensors")}
    again = "the whole directory: merge, or copy, it again"
    if missing := sorted(named - found) or ([] if found else ["model.safetensors"]):
        raise UserError(f"{', '.join(missing)} of its weights is missing", where=str(model), instead=again)
    for name in sorted(named or found):
        try:
            with safe_open(model / name, "np"):
                pass
        except SafetensorError:
            raise UserError("this file of weights is cut off", where=str(model / name), instead=again) from None
    return sum((model / name).stat().st_size for name in named or found)


def convert(
    merged: Path,
    out: Path,
    work: Path,
    name: str,
    outtype: str,
    metadata: tuple[dict[str, Any], dict[str, str]] = ({}, {}),
) -> None:
    """Writes model.gguf; `metadata` as gguf_metadata.described has it. Raises UserError if the weights are not whole or the disk is
    too full for them, and with the converter's last line if it fails."""
    disk.need(out, whole(merged) * (2 if outtype == "f32" else 1), "the GGUF")
    vendor = unpack(work / "converter")
    # The converter takes names from the directory's, which in the store is a key.
    named = work / name
    named.unlink(missing_ok=True)
    named.symlink_to(merged.absolute(), target_is_directory=True)
    files = [work / "metadata.json", work / "further.json"]
    for file, values in zip(files, metadata, strict=True):
        write_json(file, values)
    command = [
        sys.executable,
        str(Path(__file__).with_name("hf_to_gguf.py")),
        str(vendor),
        str(files[1]),
        str(named),
        "--outfile",
        str(out / "model.gguf"),
        "--outtype",
        outtype,
        "--model-name",
        name,
        "--metadata",
        str(files[0]),
    ]
    # NO_LOCAL_GGUF must be unset: the vendored gguf is newer than the one of the same number on the index.
    environment = {key: value for key, value in os.environ.items() if key != "NO_LOCAL_GGUF"}
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment)
    sys.stderr.write(done.stderr)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"llama.cpp's converter failed: {last}",
            where=str(merged),
            instead="a model of an architecture and a tokenizer that it knows",
        )
