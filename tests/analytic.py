"""Fields and shapes that are known in closed form, for tests that compare against them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OBLIQUE = (0.8, -0.36, 0.48)  # B0 (z, y, x): no two components alike, one negative


def coordinates(shape: Sequence[int], voxel_size: Sequence[float]) -> NDArray[np.float64]:
    """Return the position (zyx, z, y, x) in mm of each voxel from voxel n//2."""
    axes = [(np.arange(n) - n // 2) * size for n, size in zip(shape, voxel_size, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def distance(
    shape: Sequence[int], voxel_size: Sequence[float], centre: Sequence[float] = (0, 0, 0)
) -> NDArray[np.float64]:
    """Return the distance (z, y, x) in mm of each voxel from `centre` (z, y, x) in mm."""
    away = coordinates(shape, voxel_size) - np.reshape(centre, (3, 1, 1, 1))
    return np.sqrt((away**2).sum(axis=0))


def ball(
    shape: Sequence[int],
    voxel_size: Sequence[float],
    radius: float,
    centre: Sequence[float] = (0, 0, 0),
) -> NDArray[np.bool_]:
    """Return the voxels whose centres lie in a sphere of `radius` mm."""
    return distance(shape, voxel_size, centre) < radius


def sphere_field(
    shape: Sequence[int],
    voxel_size: Sequence[float],
    radius: float,
    b0_direction: Sequence[float],
    centre: Sequence[float] = (0, 0, 0),
) -> NDArray[np.float32]:
    """Return the field of a sphere of 1 ppm in ppm, with the sphere of Lorentz: 0 inside.

    Schenck 1996, doi:10.1118/1.597854.
    """
    away = coordinates(shape, voxel_size) - np.reshape(centre, (3, 1, 1, 1))
    r = np.sqrt((away**2).sum(axis=0))
    along = np.tensordot(b0_direction, away, 1)
    r = np.maximum(r, 1e-9)
    outside = (radius / r) ** 3 / 3 * (3 * (along / r) ** 2 - 1)
    return np.where(r > radius, outside, 0).astype(np.float32)
