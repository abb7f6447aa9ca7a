"""Minimum intensity projection: veins through a slab in one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, ndimage_module


def minimum_projection(
    image: Array, voxel_size: Sequence[float], *, mask: Array | None = None, slab_mm: float = 16.0
) -> Array:
    """Darkest value along z within a slab around each slice.

    image (z, y, x), any unit; voxel_size (z, y, x) in mm; mask (z, y, x) bool: what lies outside,
    as air does, darkens no slab, and where a slab has nothing else the image is 0.
    Returns (z, y, x) float32, a slab for each slice; the ends of the volume cut slabs short.
    Raises ValueError for a slab thinner than half a slice, and when the mask is empty.
    Reichenbach et al. 1997, doi:10.1148/radiology.204.1.9205259.
    """
    xp = array_module(image)
    slices = round(slab_mm / voxel_size[0])
    if slices < 1:
        raise ValueError(f"a slab of {slab_mm:g} mm has no slice of {voxel_size[0]:g} mm")
    if mask is not None:
        if not bool(mask.any()):
            raise ValueError("the mask is empty")
        image = xp.where(mask, image, np.inf)
    minimum = ndimage_module(image).minimum_filter1d
    darkest = minimum(image.astype(xp.float32), slices, axis=0, mode="nearest")
    return xp.where(xp.isinf(darkest), 0, darkest).astype(xp.float32)
