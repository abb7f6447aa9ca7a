"""The dipole in object space, beside `grid.dipole_kernel`, and what inverse filters keep of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module


def object_dipole_kernel(
    shape: Sequence[int], voxel_size: Sequence[float], b0_direction: Sequence[float], like: Array
) -> Array:
    """Return the field of a voxel of 1 ppm at the centres of all, as the half spectrum of `rfftn`.

    The voxel is a box, whose field is known in closed form, in a sphere of Lorentz; points in its
    place would be wrong by the size of the field itself where voxels are not cubes. It reaches
    half the grid each way and, unlike the k-space kernel, holds no images of itself further off.
    float32, real; 0 at k = 0. voxel_size (z, y, x) in mm, b0_direction a unit vector (z, y, x).
    Field = D chi, both in ppm.
    Measured values are means over voxels, or cut off in k-space: `grid.dipole_kernel` models them
    better, and the inversions use it.
    Marques and Bowtell 2005, doi:10.1002/cmr.b.20034; Schenck 1996, doi:10.1118/1.597854.
    """
    xp, fft = array_module(like), fft_module(like)
    corners = [
        xp.asarray((np.arange(n + 1) - n // 2 - 0.5) * size).reshape(
            [-1 if a == axis else 1 for a in range(3)]
        )
        for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True))
    ]
    field = _antiderivative(corners, b0_direction)
    for axis in range(3):
        field = xp.diff(field, axis=axis)
    home = [-(n // 2) for n in shape]
    field = xp.roll(field / (4 * np.pi), home, axis=(0, 1, 2)).astype(xp.float32)
    field[0, 0, 0] += np.float32(1 / 3)
    kernel = fft.rfftn(field).real.astype(xp.float32)
    kernel[0, 0, 0] = 0
    return kernel


def _antiderivative(at: Sequence[Array], b0_direction: Sequence[float]) -> Array:
    """The threefold integral of (b . grad)^2 (1 / r), float64 as its differences cancel far off."""
    xp = array_module(at[0])
    z, y, x = at
    r = xp.sqrt(z**2 + y**2 + x**2)
    total = xp.zeros(r.shape)
    for axis, b in enumerate(b0_direction):
        own, u, v = (at[(axis + shift) % 3] for shift in range(3))
        total -= b**2 * xp.arctan(u * v / (own * r))
        mixed = 2 * b0_direction[(axis + 1) % 3] * b0_direction[(axis + 2) % 3]
        total += mixed * xp.arcsinh(own / xp.sqrt(u**2 + v**2))
    return total


def point_value(transfer: Array, columns: int) -> float:
    """Return what a voxel of 1 among zeros comes to after a filter: the mean of its spectrum.

    transfer (z, y, x), real, on the half spectrum of a grid with `columns` voxels along x. Maps
    divided by it have the contrast of small sources: Schweser et al. 2013, doi:10.1002/mrm.24405.
    """
    planes = transfer.mean(axis=(0, 1), dtype=np.float64)
    whole = 2 * planes.sum() - planes[0] - (planes[-1] if columns % 2 == 0 else 0)
    return float(whole) / columns
