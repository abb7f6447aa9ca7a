"""How much memory a scan takes, and whether there is that much."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

from gadgetron_qsm.errors import QsmError

Shape = tuple[int, int, int, int, int]

log = logging.getLogger(__name__)

WORKING_BYTES = 1_500_000_000  # beside the assembled lines: those in flight, buffers, temporaries
ON_DEVICE_BYTES = 1_000_000_000  # the same of a device
VOLUMES = 8  # complex ones that the combination of coils works with, at most
CGROUP = Path("/sys/fs/cgroup")


def require(shape: Shape, limit_gb: float | None) -> None:
    """Log what an array (echo, coil, kz, ky, x) complex64 and the work on it take.

    Raises QsmError when that is more than is free, or than `limit_gb` where it is given.
    """
    needed = needed_on_host(shape)
    free = limit_gb * 1e9 if limit_gb else free_bytes()
    plan = (
        f"{shape[0]} echoes x {shape[1]} coils x {shape[2]} partitions x {shape[3]} lines x "
        f"{shape[4]} samples need {needed / 1e9:.1f} GB"
    )
    log.info("%s; %.1f GB are free", plan, free / 1e9)
    if needed > free:
        raise QsmError(
            f"{plan}, but {free / 1e9:.1f} GB are free; set kspace.virtual_coils to fewer coils, "
            "or use a machine with more memory"
        )


def needed_on_host(shape: Shape) -> int:
    """Memory that such an array and the work on it take."""
    return _of_lines(shape) + WORKING_BYTES


def needed_on_device(shape: Shape) -> int:
    """Memory that such an array and the work on it take on a device."""
    return _of_lines(shape) + ON_DEVICE_BYTES


def _of_lines(shape: Shape) -> int:
    """Bytes of the array, the coils' sensitivities, as large as an echo, and combined images."""
    echoes, coils, *volume = shape
    return 8 * ((echoes + 1) * coils + echoes + VOLUMES) * math.prod(volume)


def free_bytes() -> float:
    """Memory that this process may still take: the machine's, or its container's."""
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        cached = _entry(CGROUP / "memory.stat", "inactive_file")  # given back when it is needed
        return max(0.0, min(_available(), limit - used + cached))
    except (OSError, ValueError, StopIteration):  # in no container, or in one without a limit
        return _available()


def _available() -> float:
    try:
        return 1024 * _entry(Path("/proc/meminfo"), "MemAvailable:")
    except (OSError, StopIteration):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _entry(path: Path, name: str) -> float:
    words = (line.split() for line in path.read_text().splitlines())
    return next(float(value) for key, value, *_ in words if key == name)
