"""How far the inversion may trust the local field, voxel by voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.distance import depth


def field_weight(
    noise: Array, mask: Array, voxel_size: Sequence[float], *, rim_mm: float = 8.0
) -> Array:
    """Weight of each voxel of a local field, (z, y, x) float32: 0 outside, 1 where it is good.

    noise (z, y, x): standard deviation of the field, any unit, which follows the magnitude; what is
    better than the median is not trusted more, so that iron, dark for its own reason, keeps its
    say. Weights fall linearly to the rim over `rim_mm`, where background removal has but small
    spheres to go by; not at all with 0. voxel_size (z, y, x) in mm.
    Raises ValueError when the mask is empty.
    """
    xp = array_module(noise)
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    trust = xp.minimum(xp.median(noise[mask]) / noise, 1)
    if rim_mm > 0:
        deep = depth(xp.pad(mask, 1), voxel_size, rim_mm)[1:-1, 1:-1, 1:-1]
        trust *= xp.minimum(deep / rim_mm, 1)
    return xp.where(mask, trust, 0).astype(np.float32)
