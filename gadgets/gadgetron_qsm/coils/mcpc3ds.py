"""Coil combination that keeps the phase QSM needs, without a reference scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, ndimage_module
from gadgetron_qsm.field.romeo import TWO_PI, free_turns, romeo

FOUR_SIGMA = 4.0
TINY = float(np.finfo(np.float32).tiny)  # where there is no signal


def mcpc3ds(
    images: Array,
    echo_times_s: Sequence[float],
    voxel_size: Sequence[float],
    *,
    smoothing_mm: float = 6.0,
) -> Array:
    """Combine coils with MCPC-3D-S: one complex image an echo whose phase is 0 at TE = 0.

    images (echo, coil, z, y, x) complex64, noise white; voxel_size (z, y, x) in mm.
    Steps: the field from the first two echoes, all coils together, its free multiple of 2 pi from
    the third (0 when that cannot tell); the first echo freed of the phase that this field made,
    which leaves each coil's phase offset; that, smoothed as a complex image by a Gaussian of
    `smoothing_mm` (standard deviation) and normalised over the coils, is the coil's sensitivity;
    all echoes are combined with it (Roemer), linear in the data.
    Returns (echo, z, y, x) complex64, of the magnitude of the root sum of squares.
    Raises ValueError for fewer than two echoes.
    Eckstein et al. 2018, doi:10.1002/mrm.26963; Roemer et al. 1990, doi:10.1002/mrm.1910160203.
    """
    xp = array_module(images)
    if len(echo_times_s) < 2:
        raise ValueError("the coils' phase offsets need at least two echoes")
    field = _phase_at_first_echo(images, echo_times_s)
    turn = xp.exp(-1j * field).astype(xp.complex64)
    combined = xp.zeros(images.shape[:1] + images.shape[2:], xp.complex64)
    power = xp.zeros(images.shape[2:], xp.float32)
    sigma = [smoothing_mm / size for size in voxel_size]
    for coil in range(images.shape[1]):
        sensitivity = _smooth(images[0, coil] * turn, sigma)
        power += sensitivity.real**2 + sensitivity.imag**2
        combined += sensitivity.conj() * images[:, coil]
    return combined / xp.sqrt(xp.maximum(power, TINY))


def _phase_at_first_echo(images: Array, echo_times_s: Sequence[float]) -> Array:
    """Phase (rad) that the field alone makes until the first echo."""
    xp = array_module(images)
    first, *later = echo_times_s
    growth = _growth(images, 1)
    spacing = later[0] - first
    difference = romeo(xp.angle(growth)[None], xp.sqrt(xp.abs(growth))[None], [spacing])[0]
    if len(later) > 1:
        growth = _growth(images, 2)
        longer = (later[1] - first) / spacing
        weight = max(float(xp.abs(growth).sum()), TINY)
        miss = complex((growth * xp.exp(-1j * longer * difference)).sum()) / weight
        difference = difference - np.float32(TWO_PI * free_turns(miss, longer))
    return difference * np.float32(first / spacing)


def _growth(images: Array, echo: int) -> Array:
    """Magnitude squared and phase difference of an echo to the first, all coils together."""
    product = array_module(images).zeros(images.shape[2:], images.dtype)
    for coil in range(images.shape[1]):
        product += images[0, coil].conj() * images[echo, coil]
    return product


def _smooth(image: Array, sigma: Sequence[float]) -> Array:
    gaussian = ndimage_module(image).gaussian_filter
    xp = array_module(image)
    smooth = xp.empty_like(image)
    smooth.real = gaussian(image.real, sigma, mode="nearest", truncate=FOUR_SIGMA)
    smooth.imag = gaussian(image.imag, sigma, mode="nearest", truncate=FOUR_SIGMA)
    return smooth
