"""A real llama.cpp server for tests: `llama-server`, built once from the pinned sources that envs/setup.sh keeps.

The sources are those of the llama.cpp that llama-cpp-python links (its sdist, checked against envs/sdist.lock); of these the
server alone is compiled, and linked with the libraries that llama-cpp-python installed. The program is kept beside the sources with
a copy of these, under llama-server/<version>-<libraries>/. It listens on 127.0.0.1 only.
"""

import contextlib
import fcntl
import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mindgauge.converting import cache, sdist
from mindgauge.files import sha256_file

# What the server is made of; the rest of the sources is 100 MB more.
PARTS = ("LICENSE", "licenses/", "common/", "include/", "scripts/ui-assets.cmake", "src/", "tools/", "vendor/")
# In the place of llama.cpp's own: its libraries are there, and to compile them takes four times as long as the server.
CMAKE = """\
cmake_minimum_required(VERSION 3.18)
project(llama.cpp C CXX)
set(CMAKE_CXX_STANDARD 17)
set(LLAMA_BUILD_COMMON ON)
set(LLAMA_SUBPROCESS ON)
function(llama_add_compile_flags)
endfunction()
function(license_add_file)
endfunction()
find_package(llama REQUIRED)
add_library(ggml INTERFACE)
target_link_libraries(ggml INTERFACE ggml::ggml)
add_subdirectory(vendor)
add_subdirectory(common)
add_subdirectory(tools/mtmd)
add_subdirectory(tools/ui)
add_subdirectory(tools/server)
"""
FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    # What counts is the time of the build: what computes lies in the libraries.
    "-DCMAKE_C_FLAGS_RELEASE=-O0 -DNDEBUG",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O0 -DNDEBUG",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DCMAKE_BUILD_RPATH=$ORIGIN",
    "-DLLAMA_OPENSSL=OFF",
    # Neither built from npm nor fetched.
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DMTMD_VIDEO=OFF",
)


def has_compiler() -> bool:
    """Whether there is a C and a C++ compiler. Without one nothing can be built, and only then may a test skip."""
    return bool(shutil.which("cc") and shutil.which("c++"))


def _tools(into: Path) -> tuple[str, list[str]]:
    """cmake, and the flags that name its generator: the machine's own, else both from the package index, in a
    virtual environment that goes with the build."""
    if (cmake := shutil.which("cmake")) and shutil.which("ninja"):
        return cmake, ["-G", "Ninja"]
    if cmake and shutil.which("make"):
        return cmake, ["-G", "Unix Makefiles"]
    venv.create(into, with_pip=True)
    subprocess.run(
        [into / "bin/python", "-m", "pip", "--disable-pip-version-check", "-q", "install", "cmake<5", "ninja"],
        check=True,
    )
    return str(into / "bin/cmake"), ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={into / 'bin/ninja'}"]


def _installed() -> Path:
    """Where llama-cpp-python's libraries, headers and CMake files lie."""
    found = importlib.metadata.distribution("llama-cpp-python").locate_file("lib")
    return Path(str(found)).parent


def _build(into: Path, work: Path) -> None:
    with tarfile.open(sdist()) as archive:
        root = archive.getnames()[0].split("/")[0] + "/vendor/llama.cpp/"
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        names = tuple(root + part for part in PARTS)
        archive.extractall(work, members=[m for m in archive.getmembers() if m.name.startswith(names)])
    (work / root / "CMakeLists.txt").write_text(CMAKE)
    cmake, generator = _tools(work / "tools")
    flags = [*generator, *FLAGS, f"-DCMAKE_PREFIX_PATH={_installed()}"]
    commands = [
        [cmake, "-S", str(work / root), "-B", str(work / "build"), *flags],
        [cmake, "--build", str(work / "build"), "--target", "llama-server", "--parallel", str(os.cpu_count() or 1)],
    ]
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError("llama-server cannot be built:\n" + "\n".join(done.stdout.splitlines()[-30:]))
    part = into.with_name(into.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    shutil.copy2(work / "build/tools/server/llama-server", part)
    for library in (_installed() / "lib").glob("lib*.so.?"):
        shutil.copy2(library, part)
    part.rename(into)


def binary() -> Path:
    """The program, built if it is not kept yet. Raises RuntimeError with the compiler's last lines if it cannot be."""
    version = importlib.metadata.version("llama-cpp-python")
    # Built for this CPU alone, or for every one (MINDGAUGE_NATIVE): another set of libraries is another program.
    libraries = sha256_file(_installed() / "lib/libggml-cpu.so")
    into = cache() / "llama-server" / f"{version}-{libraries[:12]}"
    into.parent.mkdir(parents=True, exist_ok=True)
    # Two test processes build it once.
    with (into.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (into / "llama-server").is_file():
            start = time.monotonic()
            print(f"building llama-server once; kept in {into}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="llama-server-") as work:
                _build(into, Path(work))
            print(f"built llama-server in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return into / "llama-server"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running server. `url` is what an OpenAI client is given."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        """As a machine that loses its power: no answer is finished."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def serve(gguf: Path, log: Path, *flags: str, seconds: float = 60) -> Iterator[Server]:
    """Starts the server on a GGUF and waits until it is healthy. Raises RuntimeError with the end of its log if it
    isn't within `seconds`."""
    port = free_port()
    command = [
        str(binary()),
        "--model",
        str(gguf),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--threads",
        "1",
        *flags,
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            if process.poll() is not None or time.monotonic() > until:
                end = log.read_text(errors="replace").splitlines()[-20:]
                raise RuntimeError("llama-server does not start:\n" + "\n".join(end))
            time.sleep(0.05)
        yield Server(f"http://127.0.0.1:{port}/v1", process, log)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    print(binary())
