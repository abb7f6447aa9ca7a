"""Cerebrospinal fluid of the ventricles, found by its slow decay."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module, ndimage_module

SMALLEST_SHARE = 0.1  # of the largest part: smaller ones are sulci, cisterns or noise


def csf_mask(
    r2star: Array,
    brain: Array,
    voxel_size: Sequence[float],
    *,
    slowest_share: float = 0.4,
    radius_mm: float = 30.0,
) -> Array:
    """Find the cerebrospinal fluid (CSF) of the ventricles: bool (z, y, x), True there.

    r2star (z, y, x) in 1/s; brain (z, y, x) bool; voxel_size (z, y, x) in mm. CSF decays slower
    than `slowest_share` of the brain's median, which adapts to the field strength (7 1/s at 3 T);
    voxels beside faster ones, a mixture, are left out. Within `radius_mm` of the brain's centre,
    what hangs together face to face is kept if it is large.
    Raises ValueError when the brain is empty, or no such voxel is near its centre.
    Liu et al. 2018, doi:10.1002/mrm.26946.
    """
    xp, ndimage = array_module(r2star), ndimage_module(r2star)
    if not bool(brain.any()):
        raise ValueError("the brain mask is empty")
    slow = brain & (r2star < slowest_share * xp.median(r2star[brain]))
    pure = ndimage.binary_erosion(slow) & _near_centre(brain, voxel_size, radius_mm)
    parts, count = ndimage.label(pure)
    if not int(count):
        raise ValueError(
            f"no voxel within {radius_mm:g} mm of the brain's centre decays as slowly as CSF"
        )
    sizes = xp.bincount(parts.ravel())
    sizes[0] = 0  # what is no part
    return (sizes >= SMALLEST_SHARE * sizes.max())[parts]


def _near_centre(brain: Array, voxel_size: Sequence[float], radius_mm: float) -> Array:
    xp = array_module(brain)
    square, places = xp.zeros((1, 1, 1), xp.float32), xp.nonzero(brain)
    for axis, size in enumerate(voxel_size):
        millimetres = size * (xp.arange(brain.shape[axis]) - places[axis].mean())
        shape = [-1 if a == axis else 1 for a in range(3)]
        square = square + millimetres.reshape(shape) ** 2
    return square < radius_mm**2
