"""Differences between neighbouring voxels, on a grid that closes on itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.grid import spread


def scales(voxel_size: Sequence[float]) -> tuple[float, float, float]:
    """Return what differences (z, y, x) are multiplied with to be gradients.

    They are per mm times the geometric mean of the voxel sides: 1 for cubes, whatever their size.
    """
    side = float(np.prod(voxel_size)) ** (1 / 3)
    z, y, x = (side / float(size) for size in voxel_size)
    return z, y, x


def forward(x: Array, axis: int, scale: float) -> Array:
    """Return the difference to the next voxel of an axis times `scale`."""
    return (array_module(x).roll(x, -1, axis) - x) * np.float32(scale)


def adjoint(edges: Sequence[Array], scale: Sequence[float]) -> Array:
    """Return the adjoint of the three forward differences: minus the divergence."""
    roll = array_module(edges[0]).roll
    parts = [
        (roll(edge, 1, axis) - edge) * np.float32(factor)
        for axis, (edge, factor) in enumerate(zip(edges, scale, strict=True))
    ]
    return parts[0] + parts[1] + parts[2]


def squared_spectrum(shape: Sequence[int], scale: Sequence[float], like: Array) -> Array:
    """Return what `adjoint` of `forward` multiplies the half spectrum of `rfftn` with, float32."""
    xp = array_module(like)
    total = xp.zeros((1, 1, 1), xp.float32)
    for axis, (n, factor) in enumerate(zip(shape, scale, strict=True)):
        frequency = np.fft.rfftfreq(n) if axis == 2 else np.fft.fftfreq(n)
        power = factor**2 * (2 - 2 * np.cos(2 * np.pi * frequency))
        total = total + spread(power, axis, like)
    return total
