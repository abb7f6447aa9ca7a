from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.background.edge import curvature, peeled, plain_curvature, poisson, with_edge
from tests.analytic import ball, coordinates
from tests.background.scene import saddle

SHAPE, VOXEL_SIZE = (24, 27, 30), (1.7, 1.2, 1.0)
MASK = ball(SHAPE, VOXEL_SIZE, 13)
INNER = (slice(1, -1),) * 3


def test_the_curvature_of_a_parabola_is_minus_its_second_derivative():
    z, y, x = coordinates(SHAPE, VOXEL_SIZE).astype(np.float32)
    np.testing.assert_allclose(
        curvature(2 * z**2 - 3 * y**2 + 4 * x**2 + y, VOXEL_SIZE)[INNER], -6, atol=2e-3
    )


def test_a_harmonic_polynomial_has_no_curvature():
    field = saddle(SHAPE, VOXEL_SIZE)
    assert np.abs(curvature(field, VOXEL_SIZE)[INNER]).max() < 1e-6


def test_the_curvature_is_symmetric_to_the_grid_s_faces():
    a, b = np.random.default_rng(0).standard_normal((2, *SHAPE))
    left, right = (a * curvature(b, VOXEL_SIZE)).sum(), (b * curvature(a, VOXEL_SIZE)).sum()
    assert left == pytest.approx(right)


@pytest.mark.parametrize("shape", [SHAPE, (2, 3, 1)])
def test_the_curvature_on_a_device_is_the_plain_one(device, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    got = curvature(device(x), VOXEL_SIZE)
    np.testing.assert_allclose(got.get(), plain_curvature(x, VOXEL_SIZE), atol=1e-5)


def test_edges_are_made_alike_on_a_device(device):
    truth = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    total, inside = truth + saddle(SHAPE, VOXEL_SIZE), ball(SHAPE, VOXEL_SIZE, 7)
    given = [np.where(inside, truth, 0), inside, np.where(MASK, total, 0).astype(np.float32), MASK]
    local, reached = with_edge(*map(device, given), VOXEL_SIZE)
    expected, expected_reached = with_edge(*given, VOXEL_SIZE)
    np.testing.assert_array_equal(reached.get(), expected_reached)
    np.testing.assert_allclose(local.get(), expected, atol=1e-4)
    np.testing.assert_array_equal(peeled(device(MASK), 3).get(), peeled(MASK, 3))
    right = np.where(MASK, curvature(truth, VOXEL_SIZE), 0)
    got = poisson(device(right), device(MASK), VOXEL_SIZE, tolerance=1e-4)
    np.testing.assert_allclose(
        got.get(), poisson(right, MASK, VOXEL_SIZE, tolerance=1e-4), atol=1e-4
    )


@pytest.mark.parametrize("voxel_size", [VOXEL_SIZE, (1.0, 1.0, 1.0)])
def test_poisson_finds_what_has_that_curvature(voxel_size):
    rng = np.random.default_rng(0)
    truth = np.where(MASK, rng.standard_normal(SHAPE), 0).astype(np.float32)
    right = np.where(MASK, curvature(truth, voxel_size), 0)
    found = poisson(right, MASK, voxel_size, tolerance=1e-6)
    np.testing.assert_allclose(found, truth, atol=1e-4)


@pytest.mark.parametrize("voxel_size", [(4.0, 1.0, 1.0), (1.0, 1.0, 1.0)])
def test_poisson_needs_few_iterations(voxel_size):
    mask = ball(SHAPE, voxel_size, 12)
    truth = np.where(mask, saddle(SHAPE, voxel_size), 0)
    right = np.where(mask, curvature(truth, voxel_size), 0)
    found = poisson(right, mask, voxel_size, tolerance=0.0, iterations=10)
    assert np.linalg.norm(found - truth) < 0.01 * np.linalg.norm(truth)


def test_layers_are_peeled_by_faces():
    cube = np.zeros((9, 9, 9), bool)
    cube[1:-1, 1:-1, 1:-1] = True
    np.testing.assert_array_equal(np.argwhere(peeled(cube, 3)), [[4, 4, 4]])
    np.testing.assert_array_equal(peeled(cube, 0), cube)


def test_a_local_field_known_inside_goes_on_to_the_edge():
    rng = np.random.default_rng(0)
    reached = peeled(MASK, 3)
    truth = np.where(reached, rng.standard_normal(SHAPE), 0).astype(np.float32)
    total = np.where(MASK, truth + saddle(SHAPE, VOXEL_SIZE), 0)
    inside = ball(SHAPE, VOXEL_SIZE, 7)
    local, found = with_edge(
        np.where(inside, truth, 0), inside, total, MASK, VOXEL_SIZE, tolerance=1e-6
    )
    np.testing.assert_array_equal(found, reached)
    np.testing.assert_allclose(local, truth, atol=1e-4)
