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


@pytest.mark.parametrize("voxel_size", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.5)])
def test_the_field_of_boxes_is_their_mean(voxel_size):
    rng, b0 = np.random.default_rng(0), (0.8, 0.36, 0.48)
    chi = rng.standard_normal((10, 11, 12)).astype(np.float32)
    fine = chi.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    quarter = total_field(fine, tuple(size / 4 for size in voxel_size), b0)
    mean = quarter.reshape(10, 4, 11, 4, 12, 4).mean(axis=(1, 3, 5))
    field = total_field(chi, voxel_size, b0, of_boxes=True)
    assert np.linalg.norm(field - mean) < 0.1 * np.linalg.norm(mean)


def test_a_strong_box_does_not_ring_far_away():
    chi = np.zeros((48, 48, 48), np.float32)
    chi[4:12, 4:12, 4:12] = 9.0
    field = total_field(chi, (1.0, 1.0, 1.0), (0.8, 0.6, 0.0), of_boxes=True)
    far = field[24:44, 24:44, 24:44]
    pairs = np.diff(far, axis=0)  # a smooth field has no alternating differences
    assert np.abs(np.diff(pairs, axis=0)).max() < 0.02 * np.ptp(far)
