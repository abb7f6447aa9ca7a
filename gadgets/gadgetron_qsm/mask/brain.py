"""Brain mask from magnitude and phase quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, ndimage_module

HISTOGRAM_BINS = 256


def brain_mask(
    magnitude: Array,
    residual: Array,
    voxel_size: Sequence[float],
    *,
    opening_mm: float = 12.0,
    closing_mm: float = 2.0,
    largest_residual_rad: float = 0.3,
) -> Array:
    """Find the brain: bright, its phase explained by a field, thick, in one piece, without holes.

    magnitude (z, y, x), any unit; residual (z, y, x) of the echo fit in rad; voxel_size in mm.
    Steps: magnitude above half of Otsu's threshold (coils shade the middle of the head) and
    residual below `largest_residual_rad`; erosion by `opening_mm`, which cuts the bridges to scalp,
    eyes and neck, or by less when nothing is that thick; the largest piece, grown back within what
    was kept and by a voxel more, to the rim; closing by `closing_mm`; holes filled.
    Returns bool (z, y, x). Raises ValueError when nothing is left.
    Otsu 1979, doi:10.1109/TSMC.1979.4310076; quality mask after Hagberg et al. 2022,
    doi:10.1002/nbm.4676.
    """
    xp = array_module(magnitude)
    good = (magnitude > otsu(magnitude) / 2) & (residual < largest_residual_rad)
    depth = _distance(good, voxel_size)
    thickest = float(xp.where(good, depth, 0).max())
    if not thickest > 0:
        raise ValueError("no brain found: nothing is bright with a phase that a field explains")
    opening = min(opening_mm, thickest / 2)
    core = largest_piece(depth > opening)
    grown = dilate(core, voxel_size, opening + max(voxel_size)) & good
    closed = erode(dilate(grown, voxel_size, closing_mm), voxel_size, closing_mm)
    return ndimage_module(magnitude).binary_fill_holes(closed)


def otsu(image: Array) -> float:
    """Threshold that separates the histogram of `image` into two classes best.

    Of thresholds that do so equally, with nothing between the classes, the middle.
    """
    xp = array_module(image)
    top = float(image.max())
    counts, edges = xp.histogram(image, bins=HISTOGRAM_BINS, range=(0.0, max(top, 1e-30)))
    counts = counts.astype(xp.float64)
    centres = (edges[:-1] + edges[1:]) / 2
    below = xp.cumsum(counts)
    above = below[-1] - below
    sums = xp.cumsum(counts * centres)
    low = sums / xp.maximum(below, 1)
    high = (sums[-1] - sums) / xp.maximum(above, 1)
    between = below * above * (low - high) ** 2
    return float(edges[1:][between == between.max()].mean())


def largest_piece(mask: Array) -> Array:
    """Keep the largest piece of `mask` that is connected through faces."""
    xp = array_module(mask)
    labels, pieces = ndimage_module(mask).label(mask)
    if pieces == 0:
        return xp.zeros_like(mask)
    sizes = xp.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(xp.argmax(sizes))


def erode(mask: Array, voxel_size: Sequence[float], radius_mm: float) -> Array:
    """Remove what lies within `radius_mm` of a voxel outside; the grid's edge is no outside."""
    return _distance(mask, voxel_size) > radius_mm


def dilate(mask: Array, voxel_size: Sequence[float], radius_mm: float) -> Array:
    """Add what lies within `radius_mm` of a voxel inside."""
    return ~(_distance(~mask, voxel_size) > radius_mm)


def _distance(mask: Array, voxel_size: Sequence[float]) -> Array:
    """Distance (mm) of each voxel inside to the nearest outside, infinite when there is none."""
    xp = array_module(mask)
    if bool(mask.all()):
        return xp.full(mask.shape, np.inf)
    return ndimage_module(mask).distance_transform_edt(mask, sampling=list(voxel_size))
