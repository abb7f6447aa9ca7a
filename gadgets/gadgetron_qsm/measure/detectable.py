"""The change of a region that two visits can tell from none, found where nothing changed.

The weights of the region are laid over other places of the brain, and what "changes" there is what
noise, the reference, the interpolation and the errors of inversion, which are others when the head
lies otherwise in B0, do to a region of that size and shape. That the brain elsewhere is the same at
both visits is what it takes for granted; where it is not, less is called detectable.
Minimal detectable change: Weir 2005, doi:10.1519/15184.1. A table of many regions is a test of each
(Bonferroni), or one in twenty of them would seem to have changed in everybody.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.special
from numpy.typing import NDArray

from gadgetron_qsm.distance import depth

CONFIDENCE = 0.95  # two-sided, that no region of a table seems to have changed and has not
PLACES, FEWEST = 1000, 50  # that are looked at; fewer tell no percentile
FREE = 0.9  # of a region's weights that must lie where nothing is known to change
EDGE_MM = 10.0  # from the mask's edge, where maps are worse than a deep region knows
TOGETHER = 1 << 22  # values that are gathered at a time
SEED = 1


def deviations(regions: int) -> float:
    """Return the number of standard deviations that none of so many regions goes beyond (95 %)."""
    return float(-scipy.special.ndtri((1 - CONFIDENCE) / (2 * regions)))


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
    """Return the standard deviation (ppb) of the change in other places, as a region sees it.

    It is that of the normal distribution of which as many stay below as of them in 95 %, about 0:
    a shift of all of them, as the reference's, counts too.

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
    return float(np.quantile(np.abs(found), CONFIDENCE)) / deviations(1)


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
