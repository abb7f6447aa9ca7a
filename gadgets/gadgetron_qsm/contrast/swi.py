"""Susceptibility-weighted imaging of one echo, with a homodyne phase mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.contrast.smooth import gaussian


def swi(
    echoes: Array,
    echo_times_s: Sequence[float],
    mask: Array,
    voxel_size: Sequence[float],
    *,
    echo_time_s: float = 0.020,
    smoothing_mm: float = 2.0,
    multiplications: int = 4,
) -> Array:
    """Darken the magnitude where the phase exceeds that of its surroundings.

    Of the echo nearest to `echo_time_s`: phase relative to the complex image smoothed by a
    Gaussian of `smoothing_mm` (standard deviation); a mask of 1 where that is 0 or less, falling
    to 0 at pi, multiplied `multiplications` times.
    echoes (echo, z, y, x) complex, phase +2 pi f TE: then a vein along B0 is dark, and of one
    across B0 the rim. mask (z, y, x) bool, outside which the phase has no say and the magnitude
    stays as it is; voxel_size (z, y, x) in mm.
    Returns (z, y, x) float32 in the unit of the magnitude. Raises ValueError when the mask is
    empty. Haacke et al. 2004, doi:10.1002/mrm.20198.
    """
    xp = array_module(echoes)
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    chosen = int(np.argmin(np.abs(np.asarray(echo_times_s) - echo_time_s)))
    image = echoes[chosen]
    phase = _homodyne_phase(xp.where(mask, image, 0), voxel_size, smoothing_mm)
    light = 1 - xp.clip(phase / np.float32(np.pi), 0, 1)
    return (xp.abs(image) * xp.where(mask, light**multiplications, 1)).astype(xp.float32)


def _homodyne_phase(image: Array, voxel_size: Sequence[float], smoothing_mm: float) -> Array:
    """Phase (rad) relative to the smoothed image's."""
    real, imaginary = (
        gaussian(part, voxel_size, smoothing_mm) for part in (image.real, image.imag)
    )
    return array_module(image).angle(image * (real - 1j * imaginary))
