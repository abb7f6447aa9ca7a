from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.mask.shading import blocks, head, in_blocks, local_brightness, otsu
from tests.analytic import ball, coordinates

SHAPE, VOXEL = (31, 33, 35), (2.0, 3.0, 2.5)
BALL = ball(SHAPE, VOXEL, 28)


def test_otsu_separates_two_classes():
    rng = np.random.default_rng(0)
    low, high = rng.normal(20, 4, 3000), rng.normal(100, 10, 1000)
    assert 30 < otsu(np.clip(np.concatenate([low, high]), 0, None)) < 75


def test_between_classes_far_apart_otsu_takes_the_middle():
    rng = np.random.default_rng(0)
    low, high = rng.uniform(0, 20, 3000), rng.uniform(100, 120, 1000)
    assert otsu(np.concatenate([low, high])) == pytest.approx(60, abs=2)


def test_otsu_scales_with_the_image():
    image = np.random.default_rng(0).gamma(2, size=4000)
    assert otsu(1000 * image) == pytest.approx(1000 * otsu(image))


def test_the_head_is_what_signals_though_a_side_is_shaded():
    shade = np.interp(coordinates(SHAPE, VOXEL)[2], (-28, 28), (0.35, 1))
    noise = 0.03 * np.random.default_rng(0).random(SHAPE)
    np.testing.assert_array_equal(head(BALL * shade + noise), BALL)


def test_local_brightness_is_that_of_the_tissue_alone():
    magnitude = np.where(BALL, 7.0, 300.0)
    near = local_brightness(magnitude, BALL, VOXEL, 8.0)
    np.testing.assert_allclose(near, 7, rtol=1e-3)


def test_local_brightness_follows_slow_shading_in_mm_along_every_axis():
    for axis in range(3):
        shade = 2 + np.sin(coordinates(SHAPE, VOXEL)[axis] / 20)
        near = local_brightness(shade, np.ones(SHAPE, bool), VOXEL, 4.0)
        damped = 2 + np.exp(-0.5 * (4 / 20) ** 2) * (shade - 2)
        middle = np.abs(coordinates(SHAPE, VOXEL)[axis]) < 15
        np.testing.assert_allclose(near[middle], damped[middle], atol=0.02)


def test_on_a_device_brightness_is_the_same(device):
    magnitude = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    got = local_brightness(device(magnitude), device(BALL), VOXEL, 8.0)
    np.testing.assert_allclose(
        to_numpy(got), local_brightness(magnitude, BALL, VOXEL, 8.0), rtol=1e-5
    )
    np.testing.assert_array_equal(to_numpy(head(device(magnitude))), head(magnitude))


def test_blocks_are_as_large_as_asked_and_no_larger_than_the_grid():
    assert blocks((30, 2, 30), (1.0, 1.0, 5.0), 4.0) == [4, 2, 1]


def test_means_over_blocks_leave_out_the_rest_that_fills_none():
    values = np.arange(5 * 4 * 3).reshape(5, 4, 3)
    got = in_blocks(values, (2, 4, 1))
    assert got.dtype == np.float32
    means = [[[values[z : z + 2, :, x].mean() for x in range(3)]] for z in (0, 2)]
    np.testing.assert_array_equal(got, means)


def test_brightness_in_blocks_is_near_that_of_single_voxels():
    shape, fine = (61, 58, 65), (1.0, 1.0, 1.0)
    shade = 2 + np.sin(coordinates(shape, fine)[1] / 15) + coordinates(shape, fine)[0] / 60
    tissue = ball(shape, fine, 28)
    exact, share = (
        gaussian_filter(v.astype(float), 12.0, truncate=4) for v in (shade * tissue, tissue)
    )
    near = local_brightness(shade, tissue, fine, 12.0)
    assert near.shape == shape
    np.testing.assert_allclose(near[tissue], (exact / share)[tissue], rtol=0.05)
