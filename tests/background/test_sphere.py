from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.background.sphere import fits, less_mean, sphere
from gadgetron_qsm.distance import depth
from tests.analytic import OBLIQUE, ball, coordinates, sphere_field

VOXEL_SIZES = [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5), (1.5, 0.9, 0.9)]
voxel_sizes = pytest.mark.parametrize("voxel_size", VOXEL_SIZES)


@voxel_sizes
@pytest.mark.parametrize("radius", [2.0, 3.7, 8.0])
def test_the_mean_of_a_constant_is_itself(voxel_size, radius):
    assert sphere(radius, voxel_size).sum() == pytest.approx(1)


@voxel_sizes
def test_weights_are_near_even_within_the_ball_and_0_without(voxel_size):
    weights = sphere(6.0, voxel_size)
    inside = np.linalg.norm(coordinates(weights.shape, voxel_size), axis=0) <= 6 * (1 + 1e-6)
    assert not weights[~inside].any()
    assert weights[inside].std() < 0.5 * weights[inside].mean()


@voxel_sizes
def test_weights_have_the_symmetry_of_the_grid(voxel_size):
    weights = sphere(4.0, voxel_size)
    for axis in range(3):
        np.testing.assert_allclose(weights, np.flip(weights, axis), atol=1e-9)


@voxel_sizes
@pytest.mark.parametrize("voxels", [1.0, 2.0, 4.0])
def test_fields_of_sources_outside_pass_less_than_with_even_weights(voxel_size, voxels):
    radius = voxels * max(voxel_size)
    weights = sphere(radius, voxel_size)
    even = (weights != 0) / np.count_nonzero(weights)
    passed = {"these": [], "even": []}
    for direction in np.random.default_rng(0).standard_normal((40, 3)):
        away = 1.4 * radius * direction / np.linalg.norm(direction)
        outer = sphere_field(weights.shape, voxel_size, radius / 4, OBLIQUE, away)
        centre = outer[tuple(n // 2 for n in weights.shape)]
        passed["these"].append(centre - (weights * outer).sum())
        passed["even"].append(centre - (even * outer).sum())
    assert np.linalg.norm(passed["these"]) < 0.3 * np.linalg.norm(passed["even"])


@pytest.mark.parametrize("voxels", range(1, 20))
def test_a_sphere_of_whole_voxels_reaches_as_many_in_spite_of_rounding(voxels):
    # 0.6 + 0.6 * 6 is less than 7 * 0.6
    weights = sphere(0.6 + 0.6 * (voxels - 1), (0.6, 0.6, 60.0))
    assert weights.shape == (2 * voxels + 1, 2 * voxels + 1, 1)


@pytest.mark.parametrize("shape", [(16, 18, 20), (15, 17, 19)])
def test_the_filter_takes_the_mean_around_each_voxel_off_it(shape):
    field = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    kernel = less_mean(shape, 3.0, (1.0, 1.2, 1.5), like=field)
    found = scipy.fft.irfftn(kernel * scipy.fft.rfftn(field), s=shape)
    weights = sphere(3.0, (1.0, 1.2, 1.5))
    at = (8, 9, 7)
    box = tuple(slice(i - n // 2, i + n // 2 + 1) for i, n in zip(at, weights.shape, strict=True))
    assert found[at] == pytest.approx(field[at] - (weights * field[box]).sum(), abs=1e-5)


def test_a_sphere_fits_where_no_voxel_of_it_lies_outside():
    shape, voxel_size = (20, 24, 26), (2.0, 1.0, 1.1)
    mask = ball(shape, voxel_size, 11)
    expected = mask.copy()
    for z, y, x in (
        np.argwhere(sphere(4.0, voxel_size)) - np.array(sphere(4.0, voxel_size).shape) // 2
    ):
        expected &= np.roll(mask, (z, y, x), (0, 1, 2))
    np.testing.assert_array_equal(fits(depth(mask, voxel_size), 4.0), expected)


@voxel_sizes
def test_the_filter_and_where_it_fits_are_the_same_on_a_device(device, voxel_size):
    like = np.zeros(1, np.float32)
    got = less_mean((24, 25, 26), 4.0, voxel_size, like=device(like))
    expected = less_mean((24, 25, 26), 4.0, voxel_size, like=like)
    np.testing.assert_allclose(got.get(), expected, atol=1e-6)
    deep = np.random.default_rng(0).uniform(0, 8, (5, 6, 7))
    np.testing.assert_array_equal(fits(device(deep), 4.0).get(), fits(deep, 4.0))


def test_weights_are_the_caller_s_own():
    sphere(3.0, (1.0, 1.0, 1.0))[...] = 0
    assert sphere(3.0, (1.0, 1.0, 1.0)).sum() == pytest.approx(1)
