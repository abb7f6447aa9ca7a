from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.conjugate_gradients import LOOKS, advance, conjugate_gradients, dot, turn

N = 12
RNG = np.random.default_rng(0)
SQUARE = RNG.standard_normal((N, N))
MATRIX = (SQUARE @ SQUARE.T + N * np.eye(N)).astype(np.float32)
RIGHT = RNG.standard_normal(N).astype(np.float32)
SOLUTION = np.linalg.solve(MATRIX.astype(float), RIGHT)


def solve(**options):
    given = {"iterations": 50, "tolerance": 1e-6} | options
    return conjugate_gradients(lambda x: MATRIX @ x, RIGHT, **given)


def test_a_linear_system_is_solved():
    np.testing.assert_allclose(solve(), SOLUTION, atol=1e-5)


def test_with_a_preconditioner_too():
    inverse = 1 / np.diag(MATRIX)
    np.testing.assert_allclose(solve(precondition=lambda x: inverse * x), SOLUTION, atol=1e-5)


def test_an_exact_preconditioner_needs_one_step():
    inverse = np.linalg.inv(MATRIX)
    found = solve(precondition=lambda x: inverse @ x, iterations=1)
    np.testing.assert_allclose(found, SOLUTION, atol=1e-4)


@pytest.mark.parametrize("where", ["host", "device"])
def test_two_eigenvalues_take_two_iterations(device, where):
    put = device if where == "device" else np.copy
    scale = put(np.where(np.arange(N) % 3, 1, 5).astype(np.float32))
    found = conjugate_gradients(lambda x: scale * x, put(RIGHT), iterations=2, tolerance=0.0)
    np.testing.assert_allclose(to_numpy(scale * found), RIGHT, atol=1e-6)


@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_it_stops_after_its_iterations(iterations):
    images = []
    conjugate_gradients(
        lambda x: images.append(x) or MATRIX @ x, RIGHT, iterations=iterations, tolerance=0.0
    )
    assert len(images) == iterations


@pytest.mark.parametrize("tolerance", [0.3, 0.03, 1e-3])
def test_it_stops_at_its_tolerance(tolerance):
    images = []
    found = conjugate_gradients(
        lambda x: images.append(x) or MATRIX @ x, RIGHT, iterations=50, tolerance=tolerance
    )
    assert np.linalg.norm(MATRIX @ found - RIGHT) <= tolerance * np.linalg.norm(RIGHT)
    before = conjugate_gradients(
        lambda x: MATRIX @ x, RIGHT, iterations=len(images) - 1, tolerance=0.0
    )
    assert np.linalg.norm(MATRIX @ before - RIGHT) > tolerance * np.linalg.norm(RIGHT)


def test_nothing_comes_of_nothing():
    found = conjugate_gradients(lambda x: MATRIX @ x, 0 * RIGHT, iterations=5, tolerance=0.0)
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("tolerance", [0.3, 1e-3, 0.0])
def test_a_device_stops_where_the_host_does(device, tolerance, preconditioned):
    def solved(put):
        matrix, inverse, images = put(MATRIX), put(1 / np.diag(MATRIX)), []
        found = conjugate_gradients(
            lambda x: images.append(x) or matrix @ x,
            put(RIGHT),
            iterations=11,
            tolerance=tolerance,
            precondition=(lambda x: inverse * x) if preconditioned else None,
        )
        return to_numpy(found), len(images)

    (found, looked), (expected, needed) = solved(device), solved(np.copy)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert needed <= looked < needed + LOOKS


def test_on_a_device_nothing_comes_of_nothing(device):
    matrix = device(MATRIX)
    found = conjugate_gradients(
        lambda x: matrix @ x, device(0 * RIGHT), iterations=5, tolerance=0.0
    )
    np.testing.assert_array_equal(found.get(), 0)


def test_a_device_that_is_there_at_once_stays_there(device):
    right = device(np.ones(N, np.float32))
    found = conjugate_gradients(lambda x: 1 * x, right, iterations=LOOKS, tolerance=0.0)
    np.testing.assert_array_equal(found.get(), 1)


def test_a_step_on_a_device_is_that_of_the_host(device):
    given = RNG.standard_normal((4, 3, 4, 5)).astype(np.float32)
    host, there = given.copy(), [device(x) for x in given]
    numbers = [np.float64(n) for n in (3.0, 2.0, 1.0)]
    advance(*host, *numbers)
    advance(*there, *(device(np.asarray(n)) for n in numbers))
    turn(host[2], host[3], *numbers[:2])
    turn(there[2], there[3], *(device(np.asarray(n)) for n in numbers[:2]))
    np.testing.assert_allclose([x.get() for x in there], host, atol=1e-6)
    np.testing.assert_allclose(host[0], given[0] + 1.5 * given[2], atol=1e-6)
    np.testing.assert_allclose(host[1], given[1] - 1.5 * given[3], atol=1e-6)
    np.testing.assert_allclose(host[2], given[3] + 1.5 * given[2], atol=1e-6)


def test_inner_products_are_summed_in_double_precision():
    values = np.full(300_001, 0.1, np.float32)
    assert dot(values, values) == pytest.approx(300_001 * float(values[0] * values[0]), rel=1e-10)
