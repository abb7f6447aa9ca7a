from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.inversion.weight import field_weight
from tests.analytic import ball, distance

SHAPE, VOXEL = (41, 42, 43), (1.0, 1.0, 1.0)
MASK, R = ball(SHAPE, VOXEL, 19), distance(SHAPE, VOXEL)
EVEN = np.full(SHAPE, 0.01, np.float32)


def test_deep_inside_the_weight_is_1():
    np.testing.assert_array_equal(field_weight(EVEN, MASK, VOXEL)[R < 10], 1)


def test_outside_the_weight_is_0():
    assert not field_weight(EVEN, MASK, VOXEL)[~MASK].any()


def test_the_weight_falls_linearly_to_the_rim():
    mask = np.zeros(SHAPE, bool)
    mask[:, :, 5:38] = True
    profile = field_weight(EVEN, mask, (8.0, 8.0, 0.5), rim_mm=4.0)[20, 20]
    expected = np.clip(np.minimum(np.arange(43) - 4, 38 - np.arange(43)) * 0.5 / 4, 0, 1)
    np.testing.assert_allclose(profile, expected, rtol=1e-6)


def test_the_edge_of_the_grid_is_a_rim():
    weight = field_weight(EVEN, np.ones(SHAPE, bool), VOXEL, rim_mm=8.0)
    np.testing.assert_allclose([weight[0, 20, 20], weight[3, 20, 20]], [1 / 8, 4 / 8])


def test_twice_the_median_noise_is_half_the_weight():
    noise = np.where(np.arange(43) < 15, 0.02, 0.01) + np.zeros(SHAPE)
    weight = field_weight(noise, MASK, VOXEL)
    deep = R < 10
    np.testing.assert_allclose(weight[deep & (np.arange(43) < 15)], 0.5)
    np.testing.assert_allclose(weight[deep & (np.arange(43) >= 15)], 1)


def test_less_than_the_median_noise_is_trusted_no_more():
    noise = np.where(R < 4, 0.001, 0.01)
    np.testing.assert_array_equal(field_weight(noise, MASK, VOXEL)[R < 10], 1)


def test_the_unit_of_the_noise_does_not_matter():
    noise = np.random.default_rng(0).uniform(0.5, 2, SHAPE).astype(np.float32)
    a, b = field_weight(noise, MASK, VOXEL), field_weight(64 * noise, MASK, VOXEL)
    np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("outside", [1e9, 1e-9])
def test_noise_outside_the_mask_has_no_say(outside):
    noise = np.where(MASK, EVEN, outside)
    np.testing.assert_array_equal(field_weight(noise, MASK, VOXEL), field_weight(EVEN, MASK, VOXEL))


def test_weights_are_single_precision():
    assert field_weight(EVEN, MASK, VOXEL).dtype == np.float32


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        field_weight(EVEN, np.zeros(SHAPE, bool), VOXEL)


@pytest.mark.parametrize("rim_mm", [0.0, 8.0])
def test_it_is_the_same_on_a_device(device, rim_mm):
    noise = np.random.default_rng(0).uniform(0.01, 0.1, SHAPE).astype(np.float32)
    got = field_weight(device(noise), device(MASK), VOXEL, rim_mm=rim_mm)
    np.testing.assert_allclose(
        got.get(), field_weight(noise, MASK, VOXEL, rim_mm=rim_mm), atol=1e-6
    )
