"""The last of a rigid registration: least squares, which converges where a search by steps stops.

Gauss and Newton's steps with the slopes of the fixed image, which do not change (inverse
compositional: Baker and Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd). Gain and offset of
the images are found along.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from gadgetron_qsm.measure.images import array_of
from gadgetron_qsm.measure.resample import affine_of

SMOOTHING_MM = 2.0  # noise out, and slopes that hold beyond half a voxel
STEPS, ENOUGH_MM = 40, 1e-3
RADIUS_MM = 70.0  # of a head: what a rotation moves

Matrix = NDArray[np.float64]


def refined(
    still: sitk.Image, other: sitk.Image, matrix: Matrix, where: NDArray[np.bool_]
) -> Matrix:
    """Return a rigid matrix (4 x 4, LPS) that lays `other` on `still`, from one that nearly does.

    The two are images of real numbers with the same contrast; `where` (z, y, x) is what of the
    still one counts.
    """
    smooth = sitk.SmoothingRecursiveGaussian(still, SMOOTHING_MM)
    moved = sitk.SmoothingRecursiveGaussian(other, SMOOTHING_MM)
    values, points, slopes = _sampled(smooth, where)
    middle = points.mean(axis=0)
    # (w x p) . slope = w . (p x slope): turns about the middle, then shifts
    columns = np.hstack([np.cross(points - middle, slopes), slopes]).astype(np.float32)
    for _ in range(STEPS):
        seen, inside = _seen(moved, smooth, matrix, where)
        step = _step(columns[inside], seen[inside], values[inside])
        matrix = matrix @ np.linalg.inv(_motion(step, middle))
        if np.linalg.norm(step[:3]) * RADIUS_MM + np.linalg.norm(step[3:]) < ENOUGH_MM:
            break
    return matrix


def _sampled(image: sitk.Image, where: NDArray[np.bool_]) -> tuple[NDArray[Any], ...]:
    """Return values (voxel,), points (voxel, 3) in LPS and slopes there (voxel, 3) per mm."""
    values = array_of(image)
    spacing, axes = image.GetSpacing(), np.reshape(image.GetDirection(), (3, 3))
    along = np.gradient(values, *spacing[::-1])
    slopes = np.stack([part[where] for part in along[::-1]], axis=1) @ axes.T
    indices = np.argwhere(where)[:, ::-1]
    points = indices * np.array(spacing) @ axes.T + np.array(image.GetOrigin())
    return values[where], points, slopes


def _seen(
    moved: sitk.Image, grid: sitk.Image, matrix: Matrix, where: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the moving image at the voxels looked at, and which of them it covers."""
    outside = -1e30
    image = sitk.Resample(moved, grid, affine_of(matrix), sitk.sitkLinear, outside)
    seen = array_of(image)[where]
    return seen, seen > outside / 2


def _step(columns: NDArray[Any], seen: NDArray[Any], values: NDArray[Any]) -> Matrix:
    """Return turn (3, rad) and shift (3, mm) of the fixed image that explain the other one best."""
    basis = np.column_stack([columns, values, np.ones_like(values)]).astype(np.float64)
    # einsum and not BLAS, which would add up otherwise with more cores
    normal, right = np.einsum("vi,vj->ij", basis, basis), np.einsum("vi,v->i", basis, seen)
    solved: Matrix = np.linalg.lstsq(normal, right, rcond=None)[0]
    gain = solved[6]
    return solved[:6] / gain if gain else np.zeros(6)


def _motion(step: Matrix, middle: Matrix) -> Matrix:
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
    motion[:3, 3] = middle + step[3:] - motion[:3, :3] @ middle
    return motion
