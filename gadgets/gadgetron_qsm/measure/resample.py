"""Data of one grid on another."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.images import array_of, image_of


def resampled(
    data: NDArray[Any],
    geometry: Geometry,
    onto: Geometry,
    *,
    transform: NDArray[np.floating] | sitk.Transform | None = None,
    nearest: bool = False,
) -> NDArray[Any]:
    """Return data (z, y, x) of the grid `geometry` as the grid `onto` has them.

    transform takes points of `onto` to points of `geometry`, both LPS in mm: a 4 x 4 matrix or one
    of SimpleITK's; None is none. Values are interpolated linearly, to float32, or with `nearest`
    are those of the nearest voxel, in their own type (bool becomes uint8). 0 outside the data.
    """
    image = image_of(data if nearest else data.astype(np.float32, copy=False), geometry)
    grid = sitk.Image(onto.matrix[::-1], sitk.sitkUInt8)
    grid.CopyInformation(image_of(np.zeros(onto.matrix, np.uint8), onto))
    through = transform if isinstance(transform, sitk.Transform) else affine_of(transform)
    how = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    return array_of(sitk.Resample(image, grid, through, how, 0.0))


def affine_of(matrix: NDArray[np.floating] | None) -> sitk.AffineTransform:
    """Return a 4 x 4 matrix of points (LPS, mm) as SimpleITK's transform; None is the identity."""
    given = np.eye(4) if matrix is None else np.asarray(matrix, dtype=np.float64)
    return sitk.AffineTransform(given[:3, :3].ravel().tolist(), given[:3, 3].tolist())


def matrix_of(transform: sitk.Transform) -> NDArray[np.float64]:
    """Return a linear transform of SimpleITK as a 4 x 4 matrix of points (LPS, mm)."""
    matrix = np.eye(4)
    start = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    for axis, unit in enumerate(np.eye(3).tolist()):
        matrix[:3, axis] = np.array(transform.TransformPoint(unit)) - start
    matrix[:3, 3] = start
    return matrix
