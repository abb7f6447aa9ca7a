from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.distance import depth

VOXEL = (0.7, 1.5, 2.1)


@pytest.mark.parametrize("shape", [(9, 10, 11), (1, 7, 5), (24, 1, 30)])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_the_compiled_distance_is_that_of_scipy(shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    mask[0, 0, 0] = False
    expected = scipy.ndimage.distance_transform_edt(mask, sampling=VOXEL)
    np.testing.assert_allclose(depth(mask, VOXEL), expected, rtol=1e-6)


def test_far_from_the_only_voxel_outside_the_distance_is_exact():
    mask = np.ones((40, 3, 60), bool)
    mask[2, 1, 57] = False
    expected = np.sqrt((37 * 0.7) ** 2 + 1.5**2 + (57 * 2.1) ** 2)
    assert depth(mask, VOXEL)[39, 0, 0] == pytest.approx(expected)


def test_with_nothing_outside_every_distance_is_infinite():
    assert np.isinf(depth(np.ones((3, 4, 5), bool), VOXEL)).all()


@pytest.mark.parametrize("share", [0.02, 0.8, 0.999, 1.0])
@pytest.mark.parametrize("shape", [(9, 10, 11), (1, 7, 5), (24, 1, 30)])
def test_on_a_device_the_distance_is_the_same(device, shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    got, expected = to_numpy(depth(device(mask), VOXEL)), depth(mask, VOXEL)
    assert got.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("at_most", [0.0, 1.5, 4.5, 9.0, 40.0])
@pytest.mark.parametrize("shape", [(9, 10, 11), (1, 7, 5), (24, 1, 30)])
def test_no_further_than_asked_for_the_distance_is_the_same(device, shape, at_most):
    mask = np.random.default_rng(0).random(shape) < 0.97
    whole = depth(mask, VOXEL)
    assert whole.max() > 4.5
    for got in (depth(mask, VOXEL, at_most), to_numpy(depth(device(mask), VOXEL, at_most))):
        np.testing.assert_array_equal(got > at_most, whole > at_most)
        near = whole <= at_most
        np.testing.assert_allclose(got[near], whole[near], rtol=1e-6)
