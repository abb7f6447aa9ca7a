"""Echoes of a straight vein in a ball of tissue, known in closed form."""

from __future__ import annotations

import numpy as np

from tests.analytic import ball, coordinates

TIMES_S, LARMOR_HZ = (0.005, 0.020), 127.7e6
RADIUS_MM = 2.5


def vein(shape, voxel_size):
    """Voxels (z, y, x) within a cylinder along z."""
    _, y, x = coordinates(shape, voxel_size)
    return np.hypot(y, x) < RADIUS_MM


def scene(shape, voxel_size, chi=0.3, *, across=False, background=0.0):
    """Echoes (echo, z, y, x) and mask of a vein along z of `chi` ppm; B0 along z, or across (y).

    A cylinder's field is chi / 3 within along B0; chi / 2 (cos^2 - 1/3) within across it, and
    chi / 2 cos(2 angle) (radius / r)^2 outside. `background`: ppm per mm along x. The vein's
    signal is as the tissue's, 1 at TE = 0, R2* 20 / s.
    """
    _, y, x = coordinates(shape, voxel_size)
    mask = ball(shape, voxel_size, 0.45 * min(np.multiply(shape, voxel_size)))
    inside = vein(shape, voxel_size)
    if across:
        square = np.maximum(y**2 + x**2, 1e-9)
        outside = chi / 2 * (y**2 - x**2) / square * RADIUS_MM**2 / square
        field = np.where(inside, -chi / 6, outside)
    else:
        field = np.where(inside, chi / 3, 0)
    field = field + background * x
    times = np.reshape(TIMES_S, (-1, 1, 1, 1))
    echoes = np.exp(-20 * times + 2j * np.pi * LARMOR_HZ * 1e-6 * field * times)
    return (echoes * mask).astype(np.complex64), mask
