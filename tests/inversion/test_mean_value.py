from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.inversion.mean_value import mean_value_filter, squared_distance, transfer
from tests.analytic import coordinates

GRIDS = [(6.0, (2.0, 2.0, 2.0)), (6.0, (1.0, 1.0, 1.0)), (6.0, (3.0, 1.0, 1.2)), (9.0, (2, 3, 2))]
each = pytest.mark.parametrize(("radius", "voxel_size"), GRIDS)


def charges(shape, voxel_size, radius, count=30):
    """Fields (1 / distance, 1 at the centre) of charges outside a sphere, on all sides of it."""
    away = np.random.default_rng(0).standard_normal((count, 3))
    away *= 1.4 * radius / np.linalg.norm(away, axis=1, keepdims=True)
    places = coordinates(shape, voxel_size)
    gaps = [np.linalg.norm(places - at[:, None, None, None], axis=0) for at in away]
    return [1.4 * radius / gap for gap in gaps]


@each
def test_fields_from_outside_the_sphere_do_not_pass(radius, voxel_size):
    weights = mean_value_filter(radius, voxel_size)
    passed = [(weights * field).sum() for field in charges(weights.shape, voxel_size, radius)]
    assert np.abs(passed).max() < 2.5e-3


def test_it_lets_less_of_the_outside_pass_than_a_plain_mean():
    radius, voxel_size = 6.0, (2.0, 2.0, 2.0)
    weights = mean_value_filter(radius, voxel_size)
    ball = np.linalg.norm(coordinates(weights.shape, voxel_size), axis=0) <= radius
    fields = charges(weights.shape, voxel_size, radius)
    plain = [field[ball].mean() - 1 for field in fields]
    passed = [(weights * field).sum() for field in fields]
    assert np.std(passed) < 0.2 * np.std(plain)


@each
def test_a_constant_and_a_plane_do_not_pass(radius, voxel_size):
    weights = mean_value_filter(radius, voxel_size)
    assert abs(weights.sum()) < 1e-9
    assert np.abs(np.tensordot(coordinates(weights.shape, voxel_size), weights, 3)).max() < 1e-9


@each
def test_it_reaches_no_further_than_the_sphere(radius, voxel_size):
    weights = mean_value_filter(radius, voxel_size)
    outside = np.linalg.norm(coordinates(weights.shape, voxel_size), axis=0) > radius * 1.001
    assert not weights[outside].any()
    assert all(
        n // 2 == int(radius / size) for n, size in zip(weights.shape, voxel_size, strict=True)
    )


@each
def test_no_voxel_of_the_mean_dominates(radius, voxel_size):
    weights = mean_value_filter(radius, voxel_size)
    far = np.abs(coordinates(weights.shape, voxel_size)) > 1.01 * np.reshape(
        voxel_size, (3, 1, 1, 1)
    )
    share = -weights[far.any(axis=0)]
    assert share.max() < 0.06
    assert share.sum() == pytest.approx(1, abs=0.5)


def test_what_alternates_along_every_axis_is_damped():
    weights = mean_value_filter(6.0, (2.0, 2.0, 2.0))
    alternating = (-1.0) ** np.indices(weights.shape).sum(axis=0)
    centre = alternating[tuple(n // 2 for n in weights.shape)]
    assert abs((weights * alternating).sum() * centre) < 0.15


@each
def test_squared_distance_is_what_the_filter_makes_of_it_anywhere(radius, voxel_size):
    weights = mean_value_filter(radius, voxel_size)
    z, y, x = coordinates(weights.shape, voxel_size)
    elsewhere = (z - 3) ** 2 + (y + 5) ** 2 + (x - 7) ** 2
    got = squared_distance(weights, voxel_size)
    assert got == pytest.approx((weights * elsewhere).sum(), rel=1e-6)
    assert -(radius**2) < got < -0.2 * radius**2  # a ball's mean is 3/5 of its radius squared


def test_the_transfer_function_filters_as_the_weights_do():
    weights, shape = mean_value_filter(4.0, (2.0, 1.0, 1.5)), (12, 14, 10)
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    spectrum = scipy.fft.rfftn(image) * transfer(weights, shape, like=image)
    passed = scipy.fft.irfftn(spectrum, s=shape)
    at, expected = (6, 7, 5), 0.0
    for place, weight in np.ndenumerate(weights):
        voxel = [a + p - n // 2 for a, p, n in zip(at, place, weights.shape, strict=True)]
        expected += weight * image[tuple(voxel)]
    assert passed[at] == pytest.approx(expected, abs=1e-5)


def test_a_sphere_within_one_voxel_is_refused():
    with pytest.raises(ValueError, match=r"a sphere of 2\.5 mm is smaller than a voxel of 3 mm"):
        mean_value_filter(2.5, (3.0, 1.0, 1.0))


def test_the_transfer_is_the_same_on_a_device(device):
    weights, like = mean_value_filter(3.0, (1.0, 1.0, 1.2)), np.zeros(1, np.float32)
    got = transfer(weights, (10, 12, 14), like=device(like))
    np.testing.assert_allclose(got.get(), transfer(weights, (10, 12, 14), like=like), atol=1e-6)


def test_weights_are_the_caller_s_own():
    before = mean_value_filter(3.0, (1.0, 1.0, 1.0)).copy()
    mean_value_filter(3.0, (1.0, 1.0, 1.0))[...] = 0
    np.testing.assert_array_equal(mean_value_filter(3.0, (1.0, 1.0, 1.0)), before)
