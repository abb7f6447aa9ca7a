"""CLEAR-SWI: susceptibility-weighted imaging of all echoes, evenly lit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.contrast.smooth import gaussian, gaussian_mean
from gadgetron_qsm.field.laplacian import laplacian

BRIGHT = 80  # percentile of the magnitude in the brain that contrast is set by


def clear_swi(
    echoes: Array,
    echo_times_s: Sequence[float],
    mask: Array,
    voxel_size: Sequence[float],
    *,
    smoothing_mm: float = 3.0,
    strength: float = 4.0,
    sensitivity_mm: float = 10.0,
) -> Array:
    """Weight the echoes' magnitude, freed of the coils' shading, by a sigmoid of their field.

    Magnitude: root of the sum of squares, over its sensitivity, then softplus, which widens the
    contrast of what is dark. The sensitivity is the mean magnitude around a voxel (the paper's,
    that of white matter found box by box, is led astray by steep shading).
    Phase: unwrapped by the Laplacian, echo by echo, less itself smoothed by a Gaussian of
    `smoothing_mm`; echoes combined to a field by squared magnitude. Phase mask:
    (1 + tanh(1 - field / scale)) / 2, scale the median of what is positive times 10 / `strength`.
    echoes (echo, z, y, x) complex, phase +2 pi f TE: what is paramagnetic is dark. mask
    (z, y, x) bool, outside which the phase mask is that of no field; voxel_size (z, y, x) in mm;
    `sensitivity_mm`, standard deviation of the Gaussian that makes the sensitivity smooth.
    Returns (z, y, x) float32, about 0.5 in white matter. Raises ValueError when the mask is empty.
    Eckstein et al. 2021, doi:10.1016/j.neuroimage.2021.118175.
    """
    xp = array_module(echoes)
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    magnitude = xp.abs(echoes).astype(xp.float32)
    field = _local_field(echoes, magnitude, echo_times_s, mask, voxel_size, smoothing_mm)
    combined = xp.sqrt((magnitude * magnitude).sum(axis=0))
    median = float(xp.median(combined[mask]))
    even = combined / gaussian_mean(combined, mask, voxel_size, sensitivity_mm, far=median)
    even = _softplus(even, float(xp.percentile(even[mask], BRIGHT)) / 2)
    positive = field[mask & (field > 0)]
    scale = float(xp.median(positive)) * 10 / strength if positive.size else 1.0
    return (even * (1 + xp.tanh(1 - field / np.float32(scale))) / 2).astype(xp.float32)


def _local_field(
    echoes: Array,
    magnitude: Array,
    echo_times_s: Sequence[float],
    mask: Array,
    voxel_size: Sequence[float],
    smoothing_mm: float,
) -> Array:
    """High-passed field (rad/s) that the echoes agree on, 0 outside the mask."""
    xp = array_module(echoes)
    pull, power = (xp.zeros(mask.shape, xp.float32) for _ in range(2))
    weight = gaussian(mask, voxel_size, smoothing_mm)
    for image, size, time in zip(echoes, magnitude, echo_times_s, strict=True):
        phase = laplacian(xp.angle(xp.where(mask, image, 0)), voxel_size)
        phase -= gaussian_mean(phase, mask, voxel_size, smoothing_mm, weight=weight)
        square = size * size
        power += np.float32(time**2) * square
        square *= phase
        pull += np.float32(time) * square
    return xp.where(mask & (power > 0), pull / xp.where(power > 0, power, 1), 0)


def _softplus(x: Array, offset: float) -> Array:
    """Near 0 below `offset`, x less `offset` above it, smooth between; 0 at 0."""
    xp = array_module(x)
    steepness = np.float32(2 / max(offset, 1e-30))
    start = np.float32(np.log1p(np.exp(-2.0)))
    bend = steepness * (x - np.float32(offset))
    soft = xp.log1p(xp.exp(-xp.abs(bend))) + xp.maximum(bend, 0)
    return (soft - start) / steepness
