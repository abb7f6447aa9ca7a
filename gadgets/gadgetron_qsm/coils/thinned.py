"""Fewer voxels that stand for all of them."""

from __future__ import annotations

from gadgetron_qsm.arrays import Array

MOST = 64  # along an axis: a quarter of a million voxels tell any percentile


def thinned(volume: Array) -> Array:
    """Every so many voxels of a volume (z, y, x), so that a percentile takes no time; a view."""
    return volume[tuple(slice(None, None, -(-n // MOST) or 1) for n in volume.shape)]
