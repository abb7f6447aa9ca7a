"""The change of a region that two visits can tell from none, found where nothing changed.

The weights of the region are laid over other places of the brain, and what "changes" there is what
noise, the reference, the interpolation and the errors of inversion, which are others when the head
lies otherwise in B0, do to a region of that size and shape. That the brain elsewhere is the same at
both visits is what it takes for granted; where it is not, less is called detectable.
Minimal detectable change with 95 %: Weir 2005, doi:10.1519/15184.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.distance import depth

CONFIDENCE, DEVIATIONS = 0.95, 1.96  # of a normal distribution, two-sided
PLACES, FEWEST = 1000, 50  # that are looked at; fewer tell no percentile
FREE = 0.9  # of a region's weights that must lie where nothing is known to change
EDGE_MM = 10.0  # from the mask's edge, where maps are worse than a deep region knows
TOGETHER = 1 << 22  # values that are gathered at a time
SEED = 1


def depths(valid: NDArray[np.bool_], voxel_size: Sequence[float]) -> NDArray[np.float32]:
    """Return how far (mm) voxels (z, y, x) lie from the edge of a map, right up to EDGE_MM."""
    found: NDArray[np.float32] = depth(np.pad(valid, 1), voxel_size, EDGE_MM + max(voxel_size))
    return found[1:-1, 1:-1, 1:-1]


def elsewhere(
    change: NDArray[np.floating],
    weights: NDArray[np.floating],
    free: NDArray[np.bool_],
    deep: NDArray[np.floating],
) -> float | None:
    """Return the change (ppb) that 95 % of other places stay below, as a region's weights see it.

    All arrays (z, y, x): change in ppb; the weights that a region's change is the sum of; where
    nothing is known to change; the answer of `depths`. Places are as far from the edge as the
    region, or EDGE_MM; the same input gives the same ones. None when they are too few.
    """
    own = float((deep * weights).sum() / weights.sum())
    centres = np.argwhere(free & (deep >= min(own, EDGE_MM)))
    rng = np.random.default_rng(SEED)
    if len(centres) > PLACES:
        centres = rng.choice(centres, PLACES, replace=False)
    found = _sums(change, weights, free, centres)
    if len(found) < FEWEST:
        return None
    return float(np.quantile(np.abs(found), CONFIDENCE))


def _sums(
    change: NDArray[np.floating],
    weights: NDArray[np.floating],
    free: NDArray[np.bool_],
    centres: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return the weighted sums around those centres (n, 3) that lie in what is free."""
    inside = np.argwhere(weights > 0)
    weight = weights[tuple(inside.T)].astype(np.float64)
    offsets = inside - np.round(weight @ inside / weight.sum()).astype(np.intp)
    reach = int(np.abs(offsets).max())
    padded, open_ = np.pad(change, reach), np.pad(free, reach)
    strides = np.array(padded.strides) // padded.itemsize
    at, away = (centres + reach) @ strides, offsets @ strides
    sums = []
    for part in np.array_split(at, max(1, at.size * away.size // TOGETHER)):
        index = part[:, None] + away
        share = open_.ravel()[index] @ weight
        kept = share >= FREE * weight.sum()
        index = index[kept]
        values = np.where(open_.ravel()[index], padded.ravel()[index], 0) @ weight
        sums.append(values * weight.sum() / share[kept])
    return np.concatenate(sums)
