"""Time GRAPPA on a large multi-echo scan: python -m tests.benchmarks.grappa.

With OPENBLAS_NUM_THREADS=1 where others work too: threads of BLAS that wait for each other on a
busy machine cost more than they save.
"""

from __future__ import annotations

import os
import time

import numpy as np

from gadgetron_qsm.kspace.fourier import centred_fft
from gadgetron_qsm.kspace.g_factor import g_factor
from gadgetron_qsm.kspace.grappa import grappa
from gadgetron_qsm.kspace.lattice import Lattice
from gadgetron_qsm.processors import processors
from tests.benchmarks.timing import fft_pair_seconds

ECHOES, COILS, MATRIX, CENTRE = 4, 16, (88, 112, 92), 24  # MATRIX is kz, ky, x
REPEATS = 3


def main() -> None:
    """Print the best of a few runs, in seconds and in real FFT pairs of the volume."""
    seen = sensitivities()
    full = noisy_scan(seen)
    pair_s = fft_pair_seconds(MATRIX)
    shape = " x ".join(map(str, MATRIX[::-1]))
    print(f"{shape} voxels, {ECHOES} echoes, {COILS} coils, 2 x 2, {CENTRE} x {CENTRE} calibration")
    for outline, inside in (("rectangle", np.ones(MATRIX[:2], bool)), ("ellipse", ellipse())):
        times = []
        for _ in range(REPEATS):
            sampled = pattern() & inside
            hybrid = full * sampled[:, :, None]
            start = time.perf_counter()
            kernels = grappa(hybrid, sampled, inside, (2, 2))
            times.append(time.perf_counter() - start)
        tell(f"GRAPPA, {outline}", min(times), pair_s)
    start = time.perf_counter()
    g_factor(kernels[0], seen)
    tell("g-factor", time.perf_counter() - start, pair_s)


def tell(what: str, seconds: float, pair_s: float) -> None:
    print(
        f"{what}: {seconds:.2f} s, {seconds / pair_s:.0f} FFT pairs (load {os.getloadavg()[0]:.1f})"
    )


def pattern() -> np.ndarray:
    sampled = Lattice((2, 2)).lines(MATRIX[:2])
    sampled[tuple(slice(n // 2 - CENTRE // 2, n // 2 + CENTRE // 2) for n in MATRIX[:2])] = True
    return sampled


def ellipse() -> np.ndarray:
    kz, ky = ((np.arange(n) - n // 2) / (n / 2) for n in MATRIX[:2])
    return np.hypot(kz[:, None], ky) <= 1


def sensitivities() -> np.ndarray:
    """Of coils (coil, z, y, x) on a sphere about an ellipsoid."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in MATRIX), indexing="ij")
    places = np.random.default_rng(0).standard_normal((COILS, 3))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    inside = z**2 + y**2 + x**2 < 0.7
    away = [(z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 for a, b, c in places]
    seen = [inside * np.exp(-d + 1j * n) for n, d in enumerate(away)]
    return np.array(seen, np.complex64)


def noisy_scan(seen: np.ndarray) -> np.ndarray:
    """Hybrid space (echo, coil, kz, ky, x) with noise of variance 1."""
    full = np.empty((ECHOES, *seen.shape), np.complex64)
    rng = np.random.default_rng(1)
    for echo in full:
        noise = rng.standard_normal((*seen.shape, 2), np.float32).view(np.complex64)[..., 0]
        echo[...] = centred_fft(100 * seen, axes=[1, 2]) + noise / np.float32(np.sqrt(2))
    return full


if __name__ == "__main__":
    with processors():
        main()
