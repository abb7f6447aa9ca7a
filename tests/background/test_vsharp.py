from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.background.vsharp import vsharp
from tests.analytic import OBLIQUE, ball, distance, sphere_field
from tests.background.scene import GRIDS, grids, scene, share


@grids
def test_a_background_field_is_removed(shape, voxel_size):
    _, mask, background_field = scene(shape, voxel_size)
    assert np.ptp(background_field[mask]) > 0.3
    local, inside = vsharp(background_field, mask, voxel_size)
    assert share(local[inside], background_field[inside]) < 0.01
    assert np.abs(local).max() < 0.01 * np.ptp(background_field[mask])


@grids
def test_the_field_of_an_inner_source_is_kept(shape, voxel_size):
    radius, mask, background_field = scene(shape, voxel_size)
    centre = np.multiply((0.1, 0.05, -0.1), radius)
    truth = sphere_field(shape, voxel_size, 0.2 * radius, OBLIQUE, centre)
    local, _ = vsharp(truth + background_field, mask, voxel_size, largest_radius_mm=0.35 * radius)
    deep = distance(shape, voxel_size) < 0.7 * radius
    slope = (local * truth)[deep].sum() / (truth**2)[deep].sum()
    assert slope == pytest.approx(1, abs=0.01)
    assert share((local - truth)[deep], truth[deep]) < 0.05


@pytest.mark.parametrize(("off_mm", "kept"), [(0, 0.99), (5, 0.99), (10, 0.95), (15, 0.8)])
def test_a_source_loses_little_of_its_field_until_close_to_the_rim(off_mm, kept):
    shape, voxel_size = GRIDS["isotropic, odd"]
    truth = sphere_field(shape, voxel_size, 4, OBLIQUE, (0, off_mm, 0))
    local, _ = vsharp(truth, ball(shape, voxel_size, 25), voxel_size)
    near = distance(shape, voxel_size, (0, off_mm, 0)) < 9
    assert kept < (local * truth)[near].sum() / (truth**2)[near].sum() < 1.01


@pytest.mark.parametrize("smallest", [None, 1.0, 3.0])
@grids
def test_the_mask_is_eroded_by_the_smallest_radius(shape, voxel_size, smallest):
    _, mask, field = scene(shape, voxel_size)
    inside = vsharp(field, mask, voxel_size, smallest_radius_mm=smallest, largest_radius_mm=5.0)[1]
    radius = smallest or max(voxel_size)
    steps = [np.arange(-np.ceil(radius / size), np.ceil(radius / size) + 1) for size in voxel_size]
    expected = mask.copy()
    for step in np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3).astype(int):
        if np.linalg.norm(step * voxel_size) <= radius * (1 + 1e-6):
            expected &= np.roll(mask, step, (0, 1, 2))
    np.testing.assert_array_equal(inside, expected)
    assert inside.dtype == bool


def test_a_mask_at_the_edge_of_the_grid_ends_there():
    mask = np.ones((20, 21, 22), bool)
    _, inside = vsharp(np.zeros(mask.shape), mask, (1.0, 1.0, 1.0), smallest_radius_mm=2.0)
    expected = np.zeros_like(mask)
    expected[2:-2, 2:-2, 2:-2] = True
    np.testing.assert_array_equal(inside, expected)


def test_a_mask_too_thin_for_the_largest_sphere_takes_the_next():
    shape, voxel_size = (30, 31, 32), (1.0, 1.0, 1.0)
    mask = ball(shape, voxel_size, 7)
    outer = 9 * sphere_field(shape, voxel_size, 4, OBLIQUE, (9, -9, 9))
    local, inside = vsharp(outer, mask, voxel_size, largest_radius_mm=15.0)
    assert share(local[inside], outer[inside]) < 0.01


def test_a_higher_threshold_drops_more_of_the_slow_field():
    shape, voxel_size = GRIDS["isotropic, odd"]
    mask = scene(shape, voxel_size)[1]
    truth = sphere_field(shape, voxel_size, 6, OBLIQUE)
    size = [np.abs(vsharp(truth, mask, voxel_size, threshold=t)[0]).sum() for t in (0.02, 0.5)]
    assert size[0] > 1.02 * size[1]


def test_a_mask_that_no_sphere_fits_is_refused():
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4] = True
    with pytest.raises(ValueError, match="no sphere of 1 mm fits the mask"):
        vsharp(np.zeros(mask.shape), mask, (1.0, 1.0, 1.0))


def test_a_smallest_radius_above_the_largest_is_refused():
    mask = np.ones((9, 9, 9), bool)
    with pytest.raises(ValueError, match=r"smallest radius 4.0 mm exceeds the largest, 3.0 mm"):
        vsharp(mask, mask, (1.0, 1.0, 1.0), largest_radius_mm=3.0, smallest_radius_mm=4.0)


def test_frequencies_that_pass_by_less_than_the_threshold_are_dropped():
    # a sphere passes 1.4 at most: 1 and the largest side lobe of a mean
    shape, voxel_size = GRIDS["isotropic, odd"]
    _, mask, field = scene(shape, voxel_size)
    assert vsharp(field, mask, voxel_size, threshold=0.9)[0].any()
    assert not vsharp(field, mask, voxel_size, threshold=1.6)[0].any()
