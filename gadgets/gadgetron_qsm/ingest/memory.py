"""How much memory a scan takes, and whether there is that much."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from pathlib import Path

from gadgetron_qsm.errors import QsmError

Shape = tuple[int, int, int, int, int]

log = logging.getLogger(__name__)

WORKING_BYTES = 1_500_000_000  # beside the assembled lines: those in flight, buffers, temporaries
ON_DEVICE_BYTES = 1_000_000_000  # the same of a device
VOLUMES = 8  # complex ones that the combination of coils works with, at most
IMAGES_AT_ONCE = 4  # copies of images that came, complex and as they were
CGROUP = Path("/sys/fs/cgroup")

Reserve = Callable[[int], float]  # takes bytes, returns those that are free for them

_reserve: list[Reserve] = []  # of the server that this process is part of


def share(reserve: Reserve) -> None:
    """Have this process plan with memory that it shares with other scans.

    `reserve` returns what is free beside them, and if that is enough it is ours from then on, in
    place of what was before. It may wait until it is.
    """
    _reserve[:] = [reserve]


def require(shape: Shape, limit_gb: float | None) -> None:
    """Log what an array (echo, coil, kz, ky, x) complex64 and the work on it take.

    Raises QsmError when that is more than is free, or than `limit_gb` where it is given.
    """
    advice = "set kspace.virtual_coils to fewer coils, or use a machine with more memory"
    _require(needed_on_host(shape), limit_gb, _described(shape), advice)


def require_possible(shape: Shape, limit_gb: float | None) -> None:
    """Raise QsmError when not even the bare array would fit: before anything of a scan is there.

    What scans that memory is shared with have now is free for this one later.
    """
    ever = _total_bytes if _reserve else free_bytes
    needed, free = _of_lines(shape), limit_gb * 1e9 if limit_gb else ever()
    if needed > free:
        raise QsmError(
            f"the MRD header announces {_described(shape)}, for which {free / 1e9:.1f} GB are not "
            "enough; correct it, or use a machine with more memory"
        )


def require_images(size: int, limit_gb: float | None) -> None:
    """Raise QsmError when images of that many bytes, and the work on them, do not fit."""
    _require(IMAGES_AT_ONCE * size, limit_gb, "the images that came", "send one scan at a time")


def _require(needed: int, limit_gb: float | None, what: str, advice: str) -> None:
    free = limit_gb * 1e9 if limit_gb else math.inf
    if _reserve and needed <= free:
        free = min(free, _reserve[0](needed))
    elif not limit_gb:
        free = free_bytes()
    plan = f"{what} need {needed / 1e9:.1f} GB"
    log.info("%s; %.1f GB are free", plan, free / 1e9)
    if needed > free:
        beside = " beside the other scans" if _reserve else ""
        raise QsmError(f"{plan}, but {free / 1e9:.1f} GB are free{beside}; {advice}")


def _described(shape: Shape) -> str:
    echoes, coils, partitions, lines, samples = shape
    return (
        f"{echoes} echoes x {coils} coils x {partitions} partitions x {lines} lines x "
        f"{samples} samples"
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
        return _physical()


def _total_bytes() -> float:
    """Memory that the machine has, or its container."""
    try:
        return min(_physical(), float((CGROUP / "memory.max").read_text()))
    except (OSError, ValueError):
        return _physical()


def _physical() -> float:
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _entry(path: Path, name: str) -> float:
    words = (line.split() for line in path.read_text().splitlines())
    return next(float(value) for key, value, *_ in words if key == name)
