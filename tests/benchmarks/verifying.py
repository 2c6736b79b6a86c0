"""`verify` against sha256sum in parallel (xargs -P) on the same files, in turns; and against openssl, where it is installed, which
uses the processor's instructions for SHA as Python does.

    python tests/benchmarks/verifying.py --files 24 --megabytes 128 --threads 2 --rounds 3

Each file is an entry of its own, as a GGUF is. They are read once before, so that both read from memory where that holds them all.
"""

import argparse
import contextlib
import io
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from mindgauge.recipe import STAMPS, Recipe
from mindgauge.step import make
from mindgauge.store import Store
from mindgauge.verifying import verify


def prepare(files: int, size: int) -> Store:
    """A store with `files` entries of `size` bytes each, stamped in the current directory."""
    store = Store(Path("store").absolute())
    store.open()
    for number in range(files):
        recipe = Recipe("split", (str(number),), "data", {})
        recipe.write(store.root, False)
        make(
            "split",
            STAMPS / recipe.where,
            lambda step: (step.out / "model.gguf").write_bytes(os.urandom(size)) and None,
        )
    return store


def ours(threads: int) -> float:
    """Seconds of `verify`."""
    start = time.perf_counter()
    found = verify(Path("results"), threads)
    assert not found.wrong, found.wrong
    return time.perf_counter() - start


OTHERS = {"sha256sum": "sha256sum", "openssl": "openssl dgst -sha256"}


def theirs(command: str, threads: int) -> float:
    """Seconds of a command that hashes, a file at a time in each of `threads` processes."""
    start = time.perf_counter()
    whole = f"find store -name model.gguf -print0 | xargs -0 -n 1 -P {threads} {command}"
    subprocess.run(["sh", "-c", whole], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--megabytes", type=int, default=128, help="of each file")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    others = {name: command for name, command in OTHERS.items() if shutil.which(name)}
    taken: dict[str, list[float]] = {"verify": [], **{name: [] for name in others}}
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), contextlib.redirect_stderr(io.StringIO()):
        prepare(arguments.files, arguments.megabytes << 20)
        ours(arguments.threads)
        for _ in range(arguments.rounds):
            taken["verify"].append(ours(arguments.threads))
            for name, command in others.items():
                taken[name].append(theirs(command, arguments.threads))
    total = arguments.files * (arguments.megabytes << 20) / 1e9
    print(f"{total:.1f} GB, {arguments.threads} threads, median of {arguments.rounds} rounds")
    for name, seconds in taken.items():
        ratio = statistics.median(other / own for own, other in zip(taken["verify"], seconds, strict=True))
        print(f"{name}: {total / statistics.median(seconds):.2f} GB/s; verify reaches {100 * ratio:.0f} % of it")
