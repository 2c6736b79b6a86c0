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

from mindgauge.errors import UserError
from mindgauge.files import sha256_file

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


def convert(merged: Path, out: Path, work: Path, name: str, outtype: str) -> None:
    """Writes model.gguf. Raises UserError with the converter's last line if it fails."""
    vendor = unpack(work / "converter")
    program = Path(__file__).with_name("hf_to_gguf.py")
    command = [
        sys.executable,
        str(program),
        str(vendor),
        str(merged),
        "--outfile",
        str(out / "model.gguf"),
        "--outtype",
        outtype,
        "--model-name",
        name,
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
