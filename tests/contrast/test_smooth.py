from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.smooth import gaussian, gaussian_mean
from tests.analytic import coordinates

SHAPE, VOXEL = (21, 30, 33), (2.0, 1.0, 0.8)


def test_a_point_becomes_a_gaussian_in_mm():
    point = np.zeros(SHAPE, np.float32)
    point[10, 15, 16] = 1
    found = gaussian(point, VOXEL, 2.5)
    z, y, x = coordinates(SHAPE, VOXEL)
    bell = np.exp(-(z**2 + y**2 + x**2) / 2 / 2.5**2)
    expected = bell * np.prod(VOXEL) / (2 * np.pi * 2.5**2) ** 1.5
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.max())
    assert found.dtype == np.float32


def test_nothing_wraps_around():
    edge = np.zeros(SHAPE, np.float32)
    edge[0] = edge[:, 0] = edge[:, :, 0] = 1
    found = gaussian(edge, VOXEL, 3.0)
    assert found[-1, -1, -1] < 0.01 * found[0, 0, 0]


def test_the_mean_over_a_mask_keeps_a_constant_up_to_its_rim():
    mask = np.zeros(SHAPE, bool)
    mask[5:15, 8:20, 5:25] = True
    image = np.where(mask, 7.0, np.nan)
    np.testing.assert_allclose(gaussian_mean(image, mask, VOXEL, 3.0)[mask], 7, rtol=0.01)


def test_far_from_the_mask_the_mean_is_what_was_asked_for():
    mask = np.zeros((41, 5, 5), bool)
    mask[:3] = True
    found = gaussian_mean(np.full(mask.shape, 7.0), mask, (1.0, 1.0, 1.0), 3.0, far=2.0)
    assert found[-1, 2, 2] == pytest.approx(2, rel=0.01)
    assert found[0, 2, 2] == pytest.approx(7, rel=0.02)


def test_the_weight_of_a_mask_is_made_once_for_several_images():
    image = np.random.default_rng(0).standard_normal((7, 8, 9)).astype(np.float32)
    mask = image > 0
    found = gaussian_mean(image, mask, VOXEL, 1.5, weight=gaussian(mask, VOXEL, 1.5))
    np.testing.assert_array_equal(found, gaussian_mean(image, mask, VOXEL, 1.5))


def test_it_agrees_on_a_device(device):
    image = np.random.default_rng(0).standard_normal((7, 8, 9)).astype(np.float32)
    there, mask = device(image), device(image > 0)
    expected = gaussian_mean(image, image > 0, VOXEL, 1.5)
    np.testing.assert_allclose(gaussian_mean(there, mask, VOXEL, 1.5).get(), expected, atol=1e-5)
    np.testing.assert_allclose(
        gaussian(there, VOXEL, 1.5).get(), gaussian(image, VOXEL, 1.5), atol=1e-5
    )
