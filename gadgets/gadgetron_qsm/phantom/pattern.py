"""Which lines (kz, ky) of a scan are acquired. k = 0 is line n//2 of both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.protocol import Sampling

Lines = NDArray[np.bool_]  # (kz, ky)
Shape = tuple[int, int]


@dataclass(frozen=True)
class Pattern:
    """Lines of the scan itself; the lattice they lie on, embedded calibration aside; the block."""

    lines: Lines
    lattice: Lines
    calibration: Lines


def sampling_pattern(sampling: Sampling, shape: Shape, rng: np.random.Generator) -> Pattern:
    """Choose the lines for an encoded matrix (kz, ky)."""
    inside = window(sampling, shape)
    block = central_block(sampling.calibration_size, shape) & inside
    regular = lattice(sampling, shape) & inside
    lines = regular | block if sampling.calibration == "embedded" else regular
    lost = rng.random(shape) < sampling.lost
    return Pattern(lines & (block | ~lost), regular, block)


def encoded_lines(sampling: Sampling, matrix: tuple[int, int, int]) -> Shape:
    """Lines (kz, ky) that k-space has for voxels (z, y, x): more of them with oversampling."""
    nz, ny = (round(n * more) for n, more in zip(matrix, sampling.oversampling, strict=False))
    return nz, ny


def first_lines(sampling: Sampling, shape: Shape) -> Shape:
    """First lines (kz, ky) that partial Fourier leaves, whose counters are 0."""
    pairs = zip(shape, sampling.partial_fourier, strict=True)
    first_z, first_y = (n - math.ceil(n * part) for n, part in pairs)
    return min(first_z, shape[0] // 2), min(first_y, shape[1] // 2)


def window(sampling: Sampling, shape: Shape) -> Lines:
    """Lines that partial Fourier and the ellipse inscribed in the whole of k-space leave."""
    first_z, first_y = first_lines(sampling, shape)
    inside = np.zeros(shape, bool)
    inside[first_z:, first_y:] = True
    return inside & (radius(shape) <= 1) if sampling.elliptical else inside


def radius(shape: Shape) -> NDArray[np.float64]:
    """Distance from k = 0, 1 on the ellipse inscribed in the rectangle."""
    z, y = _from_centre(shape)
    return np.hypot(z / (shape[0] / 2), y / (shape[1] / 2))


def lattice(sampling: Sampling, shape: Shape) -> Lines:
    """Lattice of parallel imaging, rows shifted against one another (CAIPIRINHA).

    Breuer et al. 2006, doi:10.1002/mrm.20787.
    """
    (z, y), factors = _from_centre(shape), sampling.acceleration
    z, y = z - sampling.lattice_offset[0], y - sampling.lattice_offset[1]
    if sampling.caipi_axis == "y":
        y = y - sampling.caipi_shift * (z // factors[0])
    else:
        z = z - sampling.caipi_shift * (y // factors[1])
    return (z % factors[0] == 0) & (y % factors[1] == 0)


def central_block(size: Shape, shape: Shape) -> Lines:
    """Block of the given size around k = 0, cut to k-space."""
    inside = [
        (steps >= -(length // 2)) & (steps < length - length // 2)
        for steps, length in zip(_from_centre(shape), size, strict=True)
    ]
    return inside[0] & inside[1]


def _from_centre(shape: Shape) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.arange(shape[0])[:, None] - shape[0] // 2, np.arange(shape[1]) - shape[1] // 2
