from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.nltv import nltv
from tests.analytic import OBLIQUE, coordinates, distance, sphere_field
from tests.inversion.sphere import FIELD, MASK, SHAPE, VOXEL, R, contrast, error

GRID, SIDES = (20, 18, 16), (1.0, 1.5, 1.2)
UP = (1.0, 0.0, 0.0)  # for which D(k) = D(-k) on even grids too
SIZE = float(np.abs(FIELD).max())


def inverted(field, **parameters):
    return nltv(field, MASK, VOXEL, OBLIQUE, **parameters)


def cost(chi, field, weight, radians, regularisation):
    """The cost that the docstring states, without h; the mask is the grid, which closes on itself
    but for gradients.
    """
    kernel = dipole_kernel(GRID, SIDES, UP, like=chi)
    found = scipy.fft.irfftn(kernel * scipy.fft.rfftn(chi), s=GRID)
    misfit = weight * np.abs(np.exp(1j * radians * found) - np.exp(1j * radians * field)) / radians
    side = np.prod(SIDES) ** (1 / 3)
    gradients = sum(np.abs(np.roll(chi, -1, a) - chi).sum() * side / SIDES[a] for a in range(3))
    return (misfit**2).sum() / 2 + regularisation * gradients


@pytest.mark.parametrize("radians", [None, 8.0])
def test_the_result_is_a_minimum_of_the_stated_cost(radians):
    rng = np.random.default_rng(0)
    field = 0.2 * sphere_field(GRID, SIDES, 5, UP) + 0.08 * rng.standard_normal(GRID)
    weight = rng.uniform(0.3, 1, GRID).astype(np.float32)
    chi = nltv(
        field, np.ones(GRID, bool), SIDES, UP, weight=weight, radians_per_ppm=radians,
        regularisation=1e-3, harmonic=0.0, iterations=400, padding_mm=0.0,
    ).astype(float)  # fmt: skip
    how = (field, weight, radians or 1e-3, 1e-3)  # of so few radians, misfits do not wrap
    lowest = cost(chi, *how)
    noise = rng.standard_normal(GRID)
    for change in (chi, noise, field, *(np.roll(chi, 1, axis) - chi for axis in range(3))):
        step = 0.01 * change / change.std() * chi.std()
        for moved in (chi + step, chi - step):
            assert cost(moved, *how) > lowest


def test_the_field_of_a_source_outside_is_not_taken_for_sources_inside():
    outside = 16 * sphere_field(SHAPE, VOXEL, 6, OBLIQUE, centre=(8, -30, 16))
    assert np.std(outside[MASK]) > 4 * np.std(FIELD[MASK])
    assert error(inverted(FIELD + outside)) < 0.12
    assert error(inverted(FIELD + outside, harmonic=0.0)) > 0.5


def test_a_field_of_constant_laplacian_is_not_taken_for_sources_inside():
    z, y, x = coordinates(SHAPE, VOXEL)
    smooth = 0.1 * ((z / 17) ** 2 + 0.5 * (y / 17) ** 2 - x / 17).astype(np.float32)
    assert error(inverted(FIELD + smooth)) < 0.12
    assert error(inverted(FIELD + smooth, harmonic=0.0)) > 0.25


def test_a_harmonic_field_of_its_own_costs_little_where_there_is_none():
    assert error(inverted(FIELD)) < 1.3 * error(inverted(FIELD, harmonic=0.0))


def test_whole_turns_change_nothing():
    lost = (np.random.default_rng(0).random(SHAPE) < 0.02) | (distance(SHAPE, VOXEL, (8, 3, 5)) < 4)
    wrapped = np.where(lost, FIELD - np.float32(2 * np.pi / 10), FIELD)
    clean, found = (inverted(f, radians_per_ppm=10.0) for f in (FIELD, wrapped))
    assert np.abs(found - clean)[MASK].max() < 0.003
    assert error(inverted(wrapped, radians_per_ppm=10.0, nonlinear=False)) > 1


def test_a_source_whose_field_wraps_keeps_its_strength():
    strong, turns = 4 * FIELD, 100.0
    assert 4 * SIZE * turns > 4 * np.pi
    assert contrast(inverted(strong, radians_per_ppm=turns)) == pytest.approx(0.4, rel=0.1)
    lost = inverted(strong, radians_per_ppm=turns, strongest_ppm=np.pi / turns)
    assert contrast(lost) < 0.3


def test_half_a_turn_for_the_strongest_field_is_the_most_that_is_made_of_the_time():
    a, b = (inverted(FIELD, radians_per_ppm=r, strongest_ppm=0.1) for r in (31.5, 100.0))
    np.testing.assert_allclose(a, b, atol=1e-7)


def test_without_radians_it_is_linear():
    a, b = (inverted(FIELD, **how) for how in ({"nonlinear": False, "radians_per_ppm": 10.0}, {}))
    np.testing.assert_array_equal(a, b)
    c = inverted(FIELD / 8, regularisation=5e-5 / 8)
    assert np.abs(8 * c - b)[MASK].std() < 0.05 * b[MASK].std()


def test_edges_of_the_magnitude_keep_a_noisy_sphere_sharp():
    noisy = FIELD + 0.02 * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    magnitude = np.where(R < 6, 1.0, 2.0).astype(np.float32)
    with_edges, without = (
        error(inverted(noisy, magnitude=m, regularisation=2e-3, edge_share=0.05))
        for m in (magnitude, None)
    )
    assert with_edges < 0.8 * without


def test_a_field_of_no_weight_is_ignored():
    ruined = R > 13
    weight = np.where(ruined, 0, 1).astype(np.float32)
    a, b = (inverted(np.where(ruined, x, FIELD), weight=weight) for x in (0.3, 0.0))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["regularisation", "strongest_ppm", "radians_per_ppm"])
def test_what_must_be_above_0_is_refused_at_0(name):
    with pytest.raises(ValueError, match=f"{name} is 0; it must be above 0"):
        inverted(FIELD, **{name: 0.0})
