"""Euclidean distance to the nearest voxel outside a mask, in mm."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.arrays.kernels import Elementwise

NEAR = 16  # voxels: within so many, looking at all of them is faster


def depth(mask: Array, voxel_size: Sequence[float], at_most: float = math.inf) -> Array:
    """Distance (mm) of each voxel inside to the nearest outside, infinite when there is none.

    mask (z, y, x) bool; voxel_size (z, y, x) in mm; the grid's edge is no outside. Of what is
    deeper than `at_most` mm, only that it is deeper need be right, which is faster.
    Returns (z, y, x) float32, 0 outside. On the host it is compiled and several times as fast as
    scipy's; on a device each voxel looks along one axis after the other. CuPy's own pads to a cube,
    of which it takes 9 bytes a voxel, and returns float64.
    Felzenszwalb and Huttenlocher 2012, doi:10.4086/toc.2012.v008a019.
    """
    if array_module(mask) is not np:
        return _depth_together(mask, voxel_size, at_most)
    if bool(mask.all()):
        return np.full(mask.shape, np.inf, np.float32)
    square = np.empty(mask.shape, np.float32)
    _fill_rows(mask, float(voxel_size[2]), square)
    for axis in (1, 0):
        size = float(voxel_size[axis])
        if at_most < NEAR * size:
            _look_near(square, axis, size, int(at_most / size) + 1)
        else:
            lines = np.ascontiguousarray(np.moveaxis(square, axis, -1))
            _lower_envelope(lines.reshape(-1, lines.shape[-1]), size)
            square = np.ascontiguousarray(np.moveaxis(lines, -1, axis))
    return np.sqrt(square, out=square)


def _depth_together(mask: Array, voxel_size: Sequence[float], at_most: float) -> Array:
    """`depth` for a device, where the host need not wait to know whether there is an outside."""
    xp = array_module(mask)
    square = xp.where(mask, np.float32(np.inf), np.float32(0))
    stride = 1
    for n, size in zip(mask.shape[::-1], voxel_size[::-1], strict=True):
        reach = n - 1 if at_most > n * size else min(int(at_most / size) + 1, n - 1)
        if reach > 0:
            square = _NEAREST(square, square, float(size), stride, n, reach, xp.empty_like(square))
        stride *= n
    return xp.sqrt(square, out=square)


@compiled
def _fill_rows(mask, size, square):  # type: ignore[no-untyped-def]
    """Square of the distance to the nearest outside along x."""
    nz, ny, nx = mask.shape
    for z in range(nz):
        for y in range(ny):
            inside, row = mask[z, y], square[z, y]
            last = -1
            for x in range(nx):
                if not inside[x]:
                    last = x
                row[x] = (size * (x - last)) ** 2 if last >= 0 else np.inf
            for x in range(nx - 1, -1, -1):
                if not inside[x]:
                    last = x
                elif last > x:
                    row[x] = min(row[x], np.float32((size * (last - x)) ** 2))


@compiled
def _look_near(square, axis, size, reach):  # type: ignore[no-untyped-def]
    """As `_lower_envelope` along y or z, in place, of those only that are within reach."""
    nx, n, others = square.shape[2], square.shape[axis], square.shape[1 - axis]
    f = np.empty((n, nx), np.float32)
    for other in range(others):
        for p in range(n):
            f[p] = square[other, p] if axis == 1 else square[p, other]
        for p in range(n):
            row = square[other, p] if axis == 1 else square[p, other]
            if not row.any():
                continue
            for q in range(max(p - reach, 0), min(p + reach + 1, n)):
                away = (size * (p - q)) ** 2
                for x in range(nx):
                    row[x] = min(row[x], np.float32(f[q, x] + away))


@compiled
def _lower_envelope(lines, size):  # type: ignore[no-untyped-def]
    """Replace each f(p) of the lines (line, p) by the least f(q) + (size (p - q))^2, in place."""
    count, n = lines.shape
    lowest = np.zeros(n, np.int64)  # where the parabolas of the envelope have their vertices
    start = np.zeros(n + 1)  # from where on they are the lowest
    value = np.zeros(n)
    for line in range(count):
        last = -1
        for q in range(n):
            f = np.float64(lines[line, q])
            value[q] = f
            if f == np.inf:
                continue
            meet = -np.inf
            while last >= 0:
                v = lowest[last]
                meet = ((f - value[v]) / (size * size) + q * q - v * v) / (2.0 * (q - v))
                if meet > start[last]:
                    break
                last -= 1
                meet = -np.inf
            last += 1
            lowest[last] = q
            start[last] = meet
        if last < 0:
            continue
        at = 0
        for p in range(n):
            while at < last and start[at + 1] < p:
                at += 1
            away = size * (p - lowest[at])
            lines[line, p] = value[lowest[at]] + away * away


# as far as what is found, beyond which nothing is nearer
_NEAREST = Elementwise(
    "nearest_outside",
    "float32 own, raw float32 square, float64 size, int32 stride, int32 count, int32 reach",
    "float32 least",
    """
    const int at = i / stride % count;
    float found = own;
    for (int far = 1; far <= reach; ++far) {
        const double away = size * far * (size * far);
        if (!(away < found)) break;
        const ptrdiff_t step = (ptrdiff_t)far * stride;
        if (far <= at) found = min(found, (float)(square[i - step] + away));
        if (far < count - at) found = min(found, (float)(square[i + step] + away));
    }
    least = found
    """,
)
