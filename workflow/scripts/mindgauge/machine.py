"""The machine that something was measured on, as a reader needs it to judge the figures. Not its name, and no path."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")


def cpu() -> str:
    """The processor's name as the kernel tells it; on ARM, where it tells none, the architecture."""
    for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def describe() -> dict[str, Any]:
    """`cpu`; `system`; `cores` of the machine and `cores_allowed` to this process; `memory_bytes`; `load_average`, how many
    processes wanted a core in the last minute; `llama_cpp_python`, its version, and `llama_cpp_features`, what llama.cpp was
    built for and found."""
    import llama_cpp

    return {
        "cpu": cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": round(os.getloadavg()[0], 2),
        "llama_cpp_python": version("llama-cpp-python"),
        "llama_cpp_features": llama_cpp.llama_print_system_info().decode().strip(" |"),
    }
