from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.phantom.field import head_field, total_field


def sphere(matrix, voxel_size, radius):
    """Distance vectors (3, z, y, x) from the centre, and a sphere with soft edges."""
    axes = [(np.arange(n) - n // 2) * s for n, s in zip(matrix, voxel_size, strict=True)]
    r = np.stack(np.meshgrid(*axes, indexing="ij"))
    distance = np.linalg.norm(r, axis=0)
    edge = max(voxel_size)
    return r, distance, np.clip((radius - distance) / edge + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("matrix", "voxel_size", "b0"),
    [
        ((60, 60, 60), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0)),
        ((61, 64, 63), (1.0, 1.0, 1.0), (0.8, 0.36, 0.48)),
        ((32, 64, 63), (2.0, 1.0, 1.0), (0.48, -0.8, 0.36)),
    ],
)
def test_a_sphere_has_no_field_inside_and_a_dipole_outside(matrix, voxel_size, b0):
    radius = 12.0
    r, distance, chi = sphere(matrix, voxel_size, radius)
    field = total_field(chi, voxel_size, b0)
    cosine = np.tensordot(b0, r, 1) / np.maximum(distance, 1e-9)
    dipole = (radius / np.maximum(distance, radius)) ** 3 / 3 * (3 * cosine**2 - 1)
    inside = distance < 0.8 * radius
    outside = (distance > 1.25 * radius) & (distance < 2 * radius)
    assert np.abs(field[inside]).max() < 0.03
    assert np.abs(field - dipole)[outside].max() < 0.03  # of 0.34 at the nearest poles


def test_a_neck_that_leaves_the_grid_goes_on_below():
    axis = np.arange(40) - 20
    chi = np.full((40, 40, 40), 9.0, np.float32)
    chi[:20, np.hypot(axis[:, None], axis) < 6] = 8.0
    field = head_field(chi, 9.0, (2.0, 2.0, 2.0), (1.0, 0.0, 0.0))
    # a long cylinder along B0 has 1/3 of its susceptibility; at a free end it would be about 0
    assert field[0, 20, 20] == pytest.approx(-1 / 3, abs=0.04)
    assert abs(field[19, 20, 20]) < 0.2
