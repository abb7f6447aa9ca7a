"""What makes a reference image into each coil's image, smooth in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from gadgetron_qsm.arrays import Array, array_module

SPACING = 1.0  # of the points of the fit, in standard deviations of its Gaussian
RIDGE = 0.02  # variance added to that of the neighbours' places, which may be 0 along an axis
FAINT = np.float32(1e-6)  # of the largest weight: where nothing is, nothing is fitted
TINY = np.finfo(np.float32).tiny

Order = tuple[int, int, int]  # of a moment, along z, y, x
SLOPES: tuple[Order, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@dataclass(frozen=True)
class _Axis:
    """`moments` (order 0 to 2, point, voxel) gather voxels at points, `between` (voxel, point)."""

    moments: Array
    between: Array


def relative_sensitivities(
    images: Array, reference: Array, voxel_size: Sequence[float], *, smoothing_mm: float
) -> Array:
    """Fit images = sensitivities * reference, with sensitivities that are locally linear.

    images (coil, z, y, x) and reference (z, y, x) complex64; voxel_size (z, y, x) in mm.
    At points `smoothing_mm` apart: least squares for a value and its slopes, the voxels weighted
    by a Gaussian of standard deviation `smoothing_mm`; the slopes keep the value right at the rim,
    where all voxels with signal lie on one side. In between the points it is interpolated.
    Returns (coil, z, y, x) complex64, 0 where the reference is; needs a volume more of memory.
    Cleveland and Devlin 1988, doi:10.1080/01621459.1988.10478639.
    """
    xp = array_module(images)
    axes = [
        _axis(n, smoothing_mm / size, reference)
        for n, size in zip(reference.shape, voxel_size, strict=True)
    ]
    fit = _fit_of_moments(reference, axes)
    conjugate = reference.conj()
    sensitivities = xp.empty_like(images, order="C")
    seen = xp.empty_like(conjugate, order="C")
    for coil, image in enumerate(images):
        xp.multiply(image, conjugate, out=seen)
        moments = _gathered(seen, axes, 1)
        _spread(sum(fit[order] * moments[order] for order in fit), axes, sensitivities[coil])
    return sensitivities


def _axis(voxels: int, sigma: float, like: Array) -> _Axis:
    """Prepare an axis for a Gaussian of `sigma` voxels."""
    points = np.linspace(0, voxels - 1, min(voxels, ceil((voxels - 1) / (SPACING * sigma)) + 1))
    places = np.arange(voxels)
    away = (places - points[:, None]) / sigma
    gaussian = np.exp(-(away**2) / 2)
    moments = np.stack([gaussian, gaussian * away, gaussian * away**2])
    between = np.stack([np.interp(places, points, row) for row in np.eye(len(points))], axis=1)
    xp = array_module(like)
    return _Axis(xp.asarray(moments, xp.float32), xp.asarray(between, xp.float32))


def _fit_of_moments(reference: Array, axes: Sequence[_Axis]) -> dict[Order, Array]:
    """Weights (z, y, x) of an image's moments of order 0 and 1 that make the fitted value.

    The regression solved for its value alone: with the mean m and the covariance C of the
    neighbours' places and b = C^-1 m, it is (1 + b m) times their mean less b times their slopes.
    """
    xp = array_module(reference)
    moments = _gathered(reference.real**2 + reference.imag**2, axes, 2)
    power = moments.pop((0, 0, 0))
    power += xp.maximum(power.max() * FAINT, TINY)
    mean = xp.stack([moments[order] for order in SLOPES]) / power
    square = [xp.stack([moments[_sum(a, b)] for b in SLOPES]) / power for a in SLOPES]
    rows = [square[i] - mean * mean[i] for i in range(3)]
    for i in range(3):
        rows[i][i] += RIDGE
    crossed = [xp.cross(rows[i - 2], rows[i - 1], axis=0) for i in range(3)]
    determinant = (rows[0] * crossed[0]).sum(axis=0)
    b = sum(mean[i] * crossed[i] for i in range(3)) / determinant
    value = 1 + (b * mean).sum(axis=0)
    return {(0, 0, 0): value / power} | {o: -b[i] / power for i, o in enumerate(SLOPES)}


def _sum(first: Order, second: Order) -> Order:
    z, y, x = (a + b for a, b in zip(first, second, strict=True))
    return z, y, x


def _gathered(volume: Array, axes: Sequence[_Axis], most: int) -> dict[Order, Array]:
    """Moments (z, y, x) about every point, by their orders along z, y, x; in all at most `most`.

    Axis by axis, each a product of matrices that leaves the others where they are.
    """
    along_z, along_y, along_x = (axis.moments[: most + 1] for axis in axes)
    orders, points, voxels = along_z.shape
    flat = volume.view(np.float32).reshape(voxels, -1)
    planes = (along_z.reshape(-1, voxels) @ flat).reshape(orders, points, volume.shape[1], -1)
    along_x = along_x.astype(volume.dtype, copy=False)
    moments = {}
    for z in range(most + 1):
        for y in range(most + 1 - z):
            rows = (along_y[y] @ planes[z]).view(volume.dtype)
            for x in range(most + 1 - z - y):
                gathered = rows.reshape(-1, rows.shape[-1]) @ along_x[x].T
                moments[z, y, x] = gathered.reshape(*rows.shape[:-1], -1)
    return moments


def _spread(points: Array, axes: Sequence[_Axis], volume: Array) -> None:
    """Interpolate from points (z, y, x) to all voxels of `volume` (z, y, x), which is written."""
    z, y, x = (axis.between for axis in axes)
    rows = (points @ x.T.astype(points.dtype)).view(np.float32)
    planes = (y @ rows).reshape(z.shape[1], -1)
    array_module(points).matmul(z, planes, out=volume.view(np.float32).reshape(len(volume), -1))
