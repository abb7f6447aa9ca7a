"""Laplace's equation in a mask: the background goes on to the edge as it must."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.arrays.kernels import Elementwise
from gadgetron_qsm.conjugate_gradients import conjugate_gradients
from gadgetron_qsm.grid import filtered, spread

ITERATIONS = 200
RIM = 3  # layers of voxels: two that hold other tissue too, one where the local field is 0


def with_edge(
    local: Array,
    inside: Array,
    total: Array,
    mask: Array,
    voxel_size: Sequence[float],
    tolerance: float = 1e-3,
) -> tuple[Array, Array]:
    """Extend a local field from `inside` to the mask less three layers of voxels.

    All (z, y, x); local and total field in ppm, 0 outside their masks; voxel_size in mm. In the
    mask the background is harmonic: local and total field have one Laplacian. Known inside, and 0
    at the third layer, the local field between follows from a Poisson problem, one transform pair
    for each of 10 to 20 iterations. Voxels of the first two layers hold other tissue too: they
    have no say.
    """
    xp = array_module(local)
    reached = peeled(mask, RIM) | inside
    between = reached & ~inside
    right = xp.where(between, curvature(total - local, voxel_size), 0)
    return local + poisson(right, between, voxel_size, tolerance=tolerance), reached


def poisson(
    right: Array,
    inside: Array,
    voxel_size: Sequence[float],
    *,
    tolerance: float,
    iterations: int = ITERATIONS,
) -> Array:
    """Solve curvature(x) = right with x = 0 but for the voxels inside.

    Conjugate gradients until the residual falls to `tolerance`, at most `iterations`,
    preconditioned by the Laplacian of the whole grid: one transform pair an iteration.
    """
    xp = array_module(right)
    inverse = _inverse_spectrum(right.shape, voxel_size, like=right)
    return conjugate_gradients(
        lambda x: xp.where(inside, curvature(x, voxel_size), 0),
        right,
        iterations=iterations,
        tolerance=tolerance,
        precondition=lambda x: xp.where(inside, filtered(x, inverse), 0),
    )


def peeled(mask: Array, layers: int) -> Array:
    """Take off the voxels with a face towards the outside, `layers` times.

    CuPy's binary_erosion takes but one layer at a time, and scipy's several times as long as this.
    """
    for _ in range(layers):
        kept = mask.copy()
        for axis in range(3):
            first, last = _but_one(axis, slice(None, -1)), _but_one(axis, slice(1, None))
            kept[last] &= mask[first]
            kept[first] &= mask[last]
            kept[_but_one(axis, slice(1))] = False
            kept[_but_one(axis, slice(-1, None))] = False
        mask = kept
    return mask


def curvature(x: Array, voxel_size: Sequence[float]) -> Array:
    """Minus the Laplacian by six neighbours, in 1/mm^2; beyond the grid x is 0."""
    if array_module(x) is not np:
        return _CURVATURE(x, x, *(np.float32(1 / size**2) for size in voxel_size), *x.shape)
    return plain_curvature(x, voxel_size)


def plain_curvature(x: Array, voxel_size: Sequence[float]) -> Array:
    """`curvature`, an axis at a time."""
    curved = x * np.float32(sum(2 / size**2 for size in voxel_size))
    for axis, size in enumerate(voxel_size):
        first, last = _but_one(axis, slice(None, -1)), _but_one(axis, slice(1, None))
        curved[last] -= x[first] * np.float32(1 / size**2)
        curved[first] -= x[last] * np.float32(1 / size**2)
    return curved


def _inverse_spectrum(shape: Sequence[int], voxel_size: Sequence[float], like: Array) -> Array:
    total = array_module(like).zeros((1, 1, 1), np.float32)
    for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True)):
        frequency = np.fft.rfftfreq(n) if axis == 2 else np.fft.fftfreq(n)
        total = total + spread((2 - 2 * np.cos(2 * np.pi * frequency)) / size**2, axis, like)
    total[0, 0, 0] = total[0, 0, 1]  # a constant, of which nothing is known, as a slow wave
    return 1 / total


def _but_one(axis: int, end: slice) -> tuple[slice, ...]:
    return tuple(end if a == axis else slice(None) for a in range(3))


_CURVATURE = Elementwise(
    "curvature",
    "T here, raw T x, T sz, T sy, T sx, int32 nz, int32 ny, int32 nx",
    "T curved",
    """
    const int at = i, plane = ny * nx;
    const int ix = at % nx, iy = at / nx % ny, iz = at / plane;
    curved = 2 * (sz + sy + sx) * here;
    curved -= sz * ((iz > 0 ? x[at - plane] : T(0)) + (iz + 1 < nz ? x[at + plane] : T(0)));
    curved -= sy * ((iy > 0 ? x[at - nx] : T(0)) + (iy + 1 < ny ? x[at + nx] : T(0)));
    curved -= sx * ((ix > 0 ? x[at - 1] : T(0)) + (ix + 1 < nx ? x[at + 1] : T(0)))
    """,
)
