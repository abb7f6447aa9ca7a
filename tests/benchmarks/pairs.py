"""Pairs of a plain way and the package's way to do the same; see `gains`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from threadpoolctl import ThreadpoolController

from gadgetron_qsm.arrays import fft_module
from gadgetron_qsm.coils import residues
from gadgetron_qsm.distance import depth
from gadgetron_qsm.field import quality
from gadgetron_qsm.field.grow import grow
from gadgetron_qsm.field.grow_together import grown_together
from gadgetron_qsm.field.wraps import wrapped
from gadgetron_qsm.grid import from_half_spectra, good_size, half_spectra
from gadgetron_qsm.inversion import edges, ss_tv_steps
from gadgetron_qsm.inversion.admm import FIT, RELAXATION
from gadgetron_qsm.kspace import compress, fourier

SHAPE = (128, 160, 144)  # of a work grid (z, y, x)
RAW_SHAPE = (127, 163, 149)  # just as likely, of no good size
COILS, LINES, SAMPLES = 32, 256, 384

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


def costs(_: There) -> tuple[Task, Task]:
    """Costs of ROMEO's edges, array by array and compiled."""
    phase, magnitude = _wrapped(2), np.abs(random(2, *SHAPE))

    def plain() -> Any:
        made = np.full((3, *SHAPE), quality.NO_EDGE, np.uint8)
        for axis, of_axis in enumerate(made):
            quality._fill_along(axis, (*phase, magnitude[0]), np.float32(2), of_axis)
        return made

    return plain, lambda: quality.edge_costs(phase, magnitude, [1.0, 2.0])


def tree(_: There) -> tuple[Task, Task]:
    """ROMEO's tree, all voxels at once and edge after edge."""
    (phase,), magnitude = _wrapped(1), np.abs(random(1, *SHAPE))
    edge_costs = quality.edge_costs(phase[None], magnitude, [1.0])
    return lambda: grown_together(phase, edge_costs), lambda: grow(phase, edge_costs)


def winding(_: There) -> tuple[Task, Task]:
    """Loops that the phase winds round."""
    image = random_lines(*SHAPE)
    mask = np.abs(image) > 0.2
    return lambda: residues.plain(image, mask), lambda: residues.phase_residues(image, mask)


def back(there: There) -> tuple[Task, Task]:
    """Transform from half spectra, into new memory and into their own."""
    spectra = half_spectra(there(random(4, *SHAPE)))
    fft = fft_module(spectra)
    return (
        lambda: fft.irfftn(spectra.copy(), s=SHAPE, axes=(1, 2, 3)),
        lambda: from_half_spectra(spectra.copy(), SHAPE),
    )


def spectra_of_an_iteration(there: There) -> tuple[Task, Task]:
    """What single-step total variation does with its spectra, of three radii."""
    half = (*SHAPE[:2], SHAPE[2] // 2 + 1)
    asked, held = there(random_lines(4, *half)), there(random_lines(*half))
    kernels, cost = there(random(3, *half)), there(np.abs(random(*half)) + 1)
    smooth, fit, pace, voxels = np.float32(0.1), FIT, np.float32(RELAXATION), 1

    def plain() -> Any:
        spectra, own = asked.copy(), held.copy()
        taken = (kernels * spectra[1:]).sum(axis=0)
        square = (kernels**2).sum(axis=0)
        chi = (smooth * spectra[0] + fit * (own + 2 * taken)) / (cost + fit * square)
        own += pace * (square * chi - taken - own)
        spectra[0], spectra[1:] = chi, kernels * chi
        return spectra

    def fused() -> Any:
        spectra = asked.copy()
        ss_tv_steps.solve(spectra, held.copy(), kernels, cost, smooth, voxels)
        return spectra

    return plain, fused


def _wrapped(echoes: int) -> np.ndarray:
    """Phase (echo, z, y, x) of a field with noise, wrapped."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in SHAPE), indexing="ij")
    field = 30 * z * y - 20 * x**2
    return wrapped(np.stack([(n + 1) * field for n in range(echoes)]) + 0.7 * random(*SHAPE))


PAIRS: Mapping[str, Callable[[There], tuple[Task, Task]]] = {
    "total variation step, fused": total_variation,
    "half spectrum for whole": half_spectrum,
    "good size for raw size": good_sizes,
    "ramps for shifts": ramps,
    "readouts turned in tiles": turning,
    "distance, compiled for scipy's": distance,
    "one thread of BLAS for all": threads,
    "all processors for one": all_processors,
    "spectra of an iteration, fused": spectra_of_an_iteration,
    "spectra back in place": back,
    "ROMEO's costs, compiled": costs,
    "ROMEO's tree, compiled": tree,
    "phase residues, compiled": winding,
}
HOST_ONLY = (
    turning,
    distance,
    threads,
    all_processors,
    costs,
    tree,
    winding,
)
