"""What each optimisation buys: the plain way, the package's way, and their ratio, in one run.

Usage: python -m tests.benchmarks.gains [--device cpu|gpu] [--json FILE] [NAME ...]

A new pair is one line of PAIRS: its name, and a function that takes arrays to where they are
computed with and returns the two tasks. They take turns, and the best of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import scipy.fft
import scipy.ndimage
from threadpoolctl import ThreadpoolController

from gadgetron_qsm.arrays import fft_module
from gadgetron_qsm.distance import depth
from gadgetron_qsm.grid import good_size
from gadgetron_qsm.inversion import edges
from gadgetron_qsm.inversion.admm import RELAXATION
from gadgetron_qsm.kspace import compress, fourier
from gadgetron_qsm.processors import processors
from tests.benchmarks import machine

SHAPE = (128, 160, 144)  # of a work grid (z, y, x)
RAW_SHAPE = (127, 163, 149)  # just as likely, of no good size
COILS, LINES, SAMPLES = 32, 256, 384
REPEATS, LEAST_S, MOST_REPEATS = 5, 1.0, 100  # of a pair: more where it is short

Task = Callable[[], Any]
There = Callable[[np.ndarray], Any]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def random_lines(*shape: int) -> np.ndarray:
    return random(*shape, 2).view(np.complex64)[..., 0]


def total_variation(there: There) -> tuple[Task, Task]:
    """The step of ADMM that shrinks gradients."""
    chi, copies = there(random(*SHAPE)), [there(random(*SHAPE)) for _ in range(3)]
    bounds, scale = [there(np.abs(random(*SHAPE))) for _ in range(3)], (1.0, 1.0, 1.0)
    step = (copies, chi, bounds)
    return (
        partial(edges.plain, *step, np.float32(RELAXATION), scale),
        partial(edges.shrink_edges, *step, RELAXATION, scale),
    )


def turning(_: There) -> tuple[Task, Task]:
    """Readouts (line, coil, x) to (x, coil, line)."""
    lines = random_lines(compress.CHUNK, COILS, SAMPLES)
    return lambda: np.ascontiguousarray(lines.T), lambda: compress._by_x(lines)


def distance(_: There) -> tuple[Task, Task]:
    """Depth of each voxel within a ball."""
    z, y, x = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in SHAPE)]
    ball = z**2 + y**2 + x**2 < 0.9
    return lambda: scipy.ndimage.distance_transform_edt(ball), lambda: depth(ball, (1.0, 1.0, 1.0))


def half_spectrum(there: There) -> tuple[Task, Task]:
    """Transform pair of a real volume."""
    real = there(random(*SHAPE))
    whole, fft = real.astype(np.complex64), fft_module(real)
    return (
        lambda: fft.ifftn(fft.fftn(whole)),
        lambda: fft.irfftn(fft.rfftn(real), s=SHAPE),
    )


def good_sizes(there: There) -> tuple[Task, Task]:
    """Transform pair of a volume as it is, and lengthened to a good size."""

    def pair(shape: tuple[int, ...]) -> Task:
        volume = there(random(*shape))
        fft = fft_module(volume)
        return lambda: fft.irfftn(fft.rfftn(volume), s=shape)

    return pair(RAW_SHAPE), pair(tuple(good_size(n) for n in RAW_SHAPE))


def ramps(there: There) -> tuple[Task, Task]:
    """Centred transform of lines, by shifts of the samples and by ramps of phase."""
    lines = there(random_lines(LINES, COILS, SAMPLES))
    fft = fft_module(lines)

    def shifted() -> Any:
        inner = fft.ifftn(fft.ifftshift(lines, axes=[2]), axes=[2], norm="ortho")
        return fft.fftshift(inner, axes=[2])

    return shifted, lambda: fourier.centred_ifft(lines, axes=[2])


def slab_by_slab(_: There) -> tuple[Task, Task]:
    """Centred transform of lines, all at once and in slabs that fit the cache."""
    lines = random_lines(LINES, COILS, SAMPLES)

    def at_once() -> Any:
        with mock.patch.object(fourier, "SLAB_BYTES", lines.nbytes):
            return fourier.centred_ifft(lines, axes=[2])

    return at_once, lambda: fourier.centred_ifft(lines, axes=[2])


def threads(_: There) -> tuple[Task, Task]:
    """Coil compression, BLAS with a thread for each processor and with one."""
    lines = random_lines(LINES, COILS, SAMPLES)
    matrices = random_lines(SAMPLES, COILS // 2, COILS)
    blas = ThreadpoolController()

    def many() -> Any:
        with blas.limit(limits=os.cpu_count(), user_api="blas"):
            return compress.compress(lines, matrices)

    return many, lambda: compress.compress(lines, matrices)


def all_processors(_: There) -> tuple[Task, Task]:
    """Transform of a volume on one processor and on all."""
    volume = random(*SHAPE)
    return lambda: scipy.fft.rfftn(volume, workers=1), lambda: scipy.fft.rfftn(volume)


PAIRS: Mapping[str, Callable[[There], tuple[Task, Task]]] = {
    "total variation step, fused": total_variation,
    "half spectrum for whole": half_spectrum,
    "good size for raw size": good_sizes,
    "ramps for shifts": ramps,
    "readouts turned in tiles": turning,
    "distance, compiled for scipy's": distance,
    "transform in slabs": slab_by_slab,
    "one thread of BLAS for all": threads,
    "all processors for one": all_processors,
}
HOST_ONLY = (turning, distance, slab_by_slab, threads, all_processors)


def main(arguments: list[str] | None = None) -> None:
    """Print the table, rows as they are done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="words of the pairs' names")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    there, wait = _device() if given.device == "gpu" else (np.asarray, lambda: None)
    print(f"{machine.described()}")
    print(f"{'':34}{'plain, ms':>12}{'ours, ms':>12}{'ratio':>8}{'load':>8}")
    told = {}
    for name, make in PAIRS.items():
        on_device = given.device == "cpu" or make not in HOST_ONLY
        if on_device and all(word in name for word in given.names):
            told[name] = plain_ms, ours_ms = measured(*make(there), wait)
            ratio = plain_ms / ours_ms
            print(
                f"{name:34}{plain_ms:12.1f}{ours_ms:12.1f}{ratio:8.2f}{machine.load():8.1f}",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps({**machine.described(), "ms": told}, indent=1) + "\n")


def measured(plain: Task, ours: Task, wait: Task) -> tuple[float, float]:
    """Best times of both in ms; each runs once before, which compiles it."""
    times: dict[Task, list[float]] = {plain: [], ours: []}
    with processors():
        plain(), ours(), wait()
        begun = time.perf_counter()
        for turn in range(MOST_REPEATS):
            for task, of_task in times.items():
                start = time.perf_counter()
                task()
                wait()
                of_task.append(1000 * (time.perf_counter() - start))
            if turn + 1 >= REPEATS and time.perf_counter() - begun > LEAST_S:
                break
    return min(times[plain]), min(times[ours])


def _device() -> tuple[There, Task]:
    import cupy

    return cupy.asarray, cupy.cuda.Device().synchronize


if __name__ == "__main__":
    main()
