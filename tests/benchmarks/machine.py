"""What a measurement was made on, and how busy that was."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path
from typing import Any


def described() -> dict[str, Any]:
    """Return date, processor, number of processors and GPU, for the record."""
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "cpu": cpu_name(),
        "processors": os.cpu_count(),
        "gpu": gpu_name(),
    }


def load() -> float:
    """Programs that wanted a processor, on average of the last minute."""
    return round(os.getloadavg()[0], 2)


def cpu_name() -> str:
    """Name of the processor, as the system has it."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def gpu_name() -> str | None:
    """Name of the first GPU that CuPy can use; None without."""
    try:
        import cupy

        properties = cupy.cuda.runtime.getDeviceProperties(0)
    except Exception:  # not installed, no driver, no device: all come as errors of their own
        return None
    name: bytes = properties["name"]
    return name.decode()
