"""How a region extends: its centre, how long it is, how full."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OF_A_BALL = 5.0  # square of the radius over the variance along an axis


@dataclass(frozen=True)
class Extent:
    """Centre (z, y, x) in voxels of the array; longest by shortest axis, 1 of a ball.

    elongation is what voxels as thick everywhere as they are along their longest side would show:
    a ball in two thick slices is no rod. thinnest_mm: full length of the shortest axis; fullness:
    volume by that of the ellipsoid with the same axes: 1 of an ellipsoid, little of what bends or
    branches.
    """

    centre: tuple[float, float, float]
    elongation: float
    thinnest_mm: float
    fullness: float


def extent(weight: NDArray[np.float32], voxel_size: Sequence[float]) -> Extent:
    """Measure a region by its second moments.

    weight (z, y, x), 0 outside the region and not negative; a voxel's own extent counts, so that
    one alone is no longer than its sides. voxel_size (z, y, x) in mm.
    Raises ValueError when the weights are 0.
    """
    at = np.argwhere(weight > 0)
    share = weight[weight > 0].astype(np.float64)
    if not share.sum() > 0:
        raise ValueError("nothing to measure: the region is empty")
    size = np.asarray(voxel_size, np.float64)
    centre = share @ at / share.sum()
    away = (at - centre) * size
    spread = (away.T * share) @ away / share.sum()
    axes = _half_lengths(spread + np.diag(size**2) / 12)
    alike = _half_lengths(spread + np.eye(3) * size.max() ** 2 / 12)
    volume = share.sum() ** 2 / (share**2).sum() * size.prod()
    z, y, x = centre.tolist()
    return Extent(
        centre=(z, y, x),
        elongation=float(alike[2] / alike[0]),
        thinnest_mm=float(2 * axes[0]),
        fullness=float(volume / (4 / 3 * math.pi * axes.prod())),
    )


def _half_lengths(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axes of the ellipsoid that spreads so, the shortest first."""
    return np.sqrt(OF_A_BALL * np.linalg.eigvalsh(spread))
