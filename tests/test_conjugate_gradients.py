from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.conjugate_gradients import conjugate_gradients, dot

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


def test_inner_products_are_summed_in_double_precision():
    values = np.full(300_001, 0.1, np.float32)
    assert dot(values, values) == pytest.approx(300_001 * float(values[0] * values[0]), rel=1e-10)
