"""Pieces, distances and holes of a mask, in mm."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module, ndimage_module, to_numpy
from gadgetron_qsm.distance import depth


def largest_piece(mask: Array) -> Array:
    """Keep the largest piece of `mask` that is connected through faces."""
    xp = array_module(mask)
    labels, pieces = ndimage_module(mask).label(mask)
    if int(pieces) == 0:
        return xp.zeros_like(mask)
    sizes = xp.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(xp.argmax(sizes))


def erode(mask: Array, voxel_size: Sequence[float], radius_mm: float) -> Array:
    """Remove what lies within `radius_mm` of a voxel outside; the grid's edge is no outside."""
    return depth(mask, voxel_size, radius_mm) > radius_mm


def dilate(mask: Array, voxel_size: Sequence[float], radius_mm: float) -> Array:
    """Add what lies within `radius_mm` of a voxel inside."""
    return ~(depth(~mask, voxel_size, radius_mm) > radius_mm)


def close(mask: Array, voxel_size: Sequence[float], radius_mm: float) -> Array:
    """Fill gaps into which no ball of `radius_mm` fits."""
    return erode(dilate(mask, voxel_size, radius_mm), voxel_size, radius_mm)


def fill_holes(mask: Array) -> Array:
    """Fill what is enclosed through faces; the grid's edge encloses nothing."""
    outside, _ = ndimage_module(mask).label(~array_module(mask).pad(mask, 1))
    return (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]


def bounding_box(
    mask: Array, voxel_size: Sequence[float], margin_mm: float
) -> tuple[slice, slice, slice]:
    """Slices (z, y, x) around `mask`, by `margin_mm` and a voxel more, as far as the grid goes.

    Raises ValueError when the mask is empty.
    """
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    sides = []
    for axis, size in enumerate(voxel_size):
        others = tuple(other for other in range(3) if other != axis)
        held = to_numpy(mask.any(axis=others)).nonzero()[0].tolist()
        margin = int(margin_mm / size) + 2
        sides.append(slice(max(held[0] - margin, 0), held[-1] + margin + 1))
    z, y, x = sides
    return z, y, x
