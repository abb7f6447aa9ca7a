"""Grids made of others: a part of one, and one of smaller voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry


def cropped(geometry: Geometry, box: Sequence[slice]) -> Geometry:
    """Return the grid of a box (z, y, x) of another, whose slices have a start and a stop."""
    first = np.array([side.start for side in box])
    matrix = np.array([side.stop for side in box]) - first
    return _placed(geometry, matrix, np.array(geometry.voxel_size), first + matrix // 2)


def divided(geometry: Geometry, parts: Sequence[int]) -> Geometry:
    """Return the grid that cuts every voxel of another into equal parts, (z, y, x) a side."""
    cut = np.array(parts)
    matrix = np.array(geometry.matrix) * cut
    middle = (matrix // 2 - (cut - 1) / 2) / cut
    return _placed(geometry, matrix, np.array(geometry.voxel_size) / cut, middle)


def _placed(geometry: Geometry, matrix: NDArray, voxel_size: NDArray, middle: NDArray) -> Geometry:
    """Return the grid whose voxel n//2 lies at an index (z, y, x) of another."""
    x, y, z = (geometry.affine @ [*middle[::-1], 1])[:3].tolist()
    return replace(
        geometry,
        matrix=tuple(matrix.tolist()),
        voxel_size=tuple(voxel_size.tolist()),
        position=(x, y, z),
    )
