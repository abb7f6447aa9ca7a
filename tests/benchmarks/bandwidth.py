"""What the machine can do at best: copies of memory and products of matrices, in bytes and flops.

Usage: python -m tests.benchmarks.bandwidth
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tests.benchmarks.machine import gpu_name
from tests.benchmarks.timing import seconds

COPIED = 1 << 28  # bytes: beyond any cache
MATRIX = 2048


@dataclass(frozen=True)
class Rates:
    """Bytes read and written in a second, together, and operations of single precision."""

    bytes_per_s: float
    flops: float

    def least_s(self, moved_bytes: float, operations: float) -> float:
        """Least time for that much of both, one beside the other."""
        return max(moved_bytes / self.bytes_per_s, operations / self.flops)


def host() -> Rates:
    """Measure the host, with all its processors."""
    source, target = np.ones((2, COPIED // 4), np.float32)
    workers = os.cpu_count() or 1
    parts = [np.array_split(x, workers) for x in (target, source)]
    with ThreadPoolExecutor(workers) as pool:
        copy_s = seconds(lambda: list(pool.map(np.copyto, *parts)))
    copy_s = min(copy_s, seconds(lambda: np.copyto(target, source)))
    return Rates(2 * COPIED / copy_s, _flops(np, lambda: None))


def device() -> Rates | None:
    """Measure the GPU; None without one."""
    if gpu_name() is None:
        return None
    import cupy

    wait: Callable[[], None] = cupy.cuda.Device().synchronize
    source, target = cupy.ones((2, COPIED // 4), cupy.float32)
    copy_s = seconds(partial(_waited, wait, lambda: cupy.copyto(target, source)))
    return Rates(2 * COPIED / copy_s, _flops(cupy, wait))


def _flops(xp: Any, wait: Callable[[], None]) -> float:
    a = xp.ones((MATRIX, MATRIX), xp.float32)
    return 2 * MATRIX**3 / seconds(partial(_waited, wait, lambda: xp.matmul(a, a)))


def _waited(wait: Callable[[], None], task: Callable[[], Any]) -> None:
    task()
    wait()


if __name__ == "__main__":
    for name, rates in (("host", host()), ("device", device())):
        if rates:
            print(f"{name}: {rates.bytes_per_s / 1e9:.1f} GB/s, {rates.flops / 1e9:.0f} GFLOP/s")
