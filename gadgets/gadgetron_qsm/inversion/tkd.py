"""Truncated k-space division: the simplest inversion, and the fastest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, filtered
from gadgetron_qsm.inversion.dipole import point_value


def tkd(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    threshold: float = 0.15,
    correct: bool = True,
    padding_mm: float = 20.0,
) -> Array:
    """Divide the field by the dipole kernel, whose values below `threshold` are replaced by it.

    local_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction
    unit vector (z, y, x). Where |D| < `threshold`, the field is divided by `threshold` with the
    sign of D, which takes too little from there: `correct` divides the map by what a voxel of 1
    would come to (Schweser). Zeros, `padding_mm` an axis, keep the dipole from wrapping. One
    transform pair.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced.
    Raises ValueError when the mask is empty, or when the threshold does not lie between 0 and 2/3.
    Shmueli et al. 2009, doi:10.1002/mrm.22135; Schweser et al. 2013, doi:10.1002/mrm.24405.
    """
    if not 0 < threshold < 2 / 3:
        raise ValueError(f"the threshold is {threshold:g}; it must lie between 0 and 2/3")
    domain = Domain.around(mask, voxel_size, padding_mm)
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=local_field)
    inverse = _truncated(kernel, threshold)
    if correct:
        inverse = inverse / np.float32(point_value(kernel * inverse, domain.shape[2]))
    return domain.extract(filtered(domain.embed(local_field), inverse))


def _truncated(kernel: Array, threshold: float) -> Array:
    """1 / D, of no more than 1 / threshold; 0 where D says nothing, at k = 0."""
    xp = array_module(kernel)
    limit = np.float32(threshold)
    safe = xp.where(kernel >= 0, xp.maximum(kernel, limit), xp.minimum(kernel, -limit))
    inverse = 1 / safe
    inverse[0, 0, 0] = 0
    return inverse
