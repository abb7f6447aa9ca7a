"""How much a susceptibility map streaks: its spectrum near the cone that the dipole is blind to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, to_numpy
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, half_spectra, spread

NEAR, FAR = 0.08, 0.2  # |D| of the dipole below which k is near the cone, above which it is not
LOWEST, HIGHEST = 0.3, 0.95  # |k| that is looked at, of the highest of the longest voxel side
SHELLS = 8
FEWEST = 4  # values of k of either kind in a shell


def streaking(
    chi: Array, mask: Array, voxel_size: Sequence[float], b0_direction: Sequence[float]
) -> float | None:
    """Return the amplitude of chi's spectrum near the magic-angle cone over that elsewhere.

    chi (z, y, x), any unit and reference; mask (z, y, x) bool; voxel_size (z, y, x) in mm;
    b0_direction a unit vector (z, y, x). Root mean square amplitudes where |D| < 0.08 and where
    |D| > 0.2 are compared in shells of equal |k|; the answer is the geometric mean over the
    shells. Anatomy does not know where B0 is: a true map comes to about 1. Noise that an
    inversion amplifies, and the streaks that it draws, raise it; regularisation that takes away
    more than the field has not told lowers it. None for a mask too small to have such shells.
    Raises ValueError when the mask is empty.
    After the frequency analysis of Milovic et al. 2021, doi:10.1002/mrm.28435, which compares
    amplitudes between ranges of |D|.
    """
    xp = array_module(chi)
    domain = Domain.around(mask, voxel_size, padding_mm=0)
    spectrum = half_spectra(domain.embed(chi - chi[mask].mean()))
    power = spectrum.real**2 + spectrum.imag**2
    response = abs(dipole_kernel(domain.shape, voxel_size, b0_direction, like=power))
    bins = 2 * _shells(domain.shape, voxel_size, power) + (response < NEAR)
    used = (bins >= 0) & (bins < 2 * SHELLS) & ((response < NEAR) | (response > FAR))
    bins, power = bins[used], power[used].astype(xp.float64)
    found = [xp.bincount(bins, weights, minlength=2 * SHELLS) for weights in (None, power)]
    counts, sums = (to_numpy(values).reshape(SHELLS, 2) for values in found)
    shells = (counts >= FEWEST).all(axis=1) & (sums > 0).all(axis=1)
    if not shells.any():
        return None
    elsewhere, near = (sums[shells] / counts[shells]).T
    return float(np.exp(np.log(near / elsewhere).mean() / 2))


def _shells(shape: Sequence[int], voxel_size: Sequence[float], like: Array) -> Array:
    """Number of the shell of |k| of each place of a half spectrum; negative below the first."""
    xp = array_module(like)
    square = xp.zeros((1, 1, 1), xp.float32)
    for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True)):
        frequencies = np.fft.rfftfreq(n, size) if axis == 2 else np.fft.fftfreq(n, size)
        square = square + spread(2 * max(voxel_size) * frequencies, axis, like) ** 2
    step = np.float32((HIGHEST - LOWEST) / SHELLS)
    return xp.floor((xp.sqrt(square) - np.float32(LOWEST)) / step).astype(xp.int32)
