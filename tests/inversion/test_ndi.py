from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.ndi import ndi
from tests.analytic import OBLIQUE
from tests.inversion.sphere import FIELD, MASK, SHAPE, VOXEL, R, contrast

GRID, SIDES, RADIANS = (20, 18, 16), (1.0, 1.5, 1.2), 30.0
UP = (1.0, 0.0, 0.0)  # for which D(k) = D(-k) on even grids too


def cost(chi, field, weight, regularisation):
    """The cost that the docstring states."""
    kernel = dipole_kernel(GRID, SIDES, UP, like=chi)
    found = scipy.fft.irfftn(kernel * scipy.fft.rfftn(chi), s=GRID)
    misfit = weight * np.abs(np.exp(1j * RADIANS * found) - np.exp(1j * RADIANS * field))
    return (misfit**2).sum() / (2 * RADIANS**2) + regularisation / 2 * (chi**2).sum()


def test_the_result_is_a_minimum_of_the_stated_cost():
    rng = np.random.default_rng(0)
    field = 0.02 * rng.standard_normal(GRID).astype(np.float32)
    weight = rng.uniform(0.3, 1, GRID).astype(np.float32)
    chi = ndi(
        field, np.ones(GRID, bool), SIDES, UP,
        radians_per_ppm=RADIANS, weight=weight, regularisation=0.01, iterations=300, padding_mm=0.0,
    ).astype(float)  # fmt: skip
    lowest = cost(chi, field, weight, 0.01)
    noise = rng.standard_normal(GRID)
    for change in (chi, noise, field, *(np.roll(chi, 1, axis) - chi for axis in range(3))):
        step = 0.01 * change / change.std() * chi.std()
        for moved in (chi + step, chi - step):
            assert cost(moved, field, weight, 0.01) > lowest


def test_whole_turns_of_single_voxels_do_little_harm():
    turns = np.random.default_rng(0).random(SHAPE) < 0.02
    wrapped = np.where(turns, FIELD + np.float32(2 * np.pi / 25), FIELD)
    a, b = (ndi(f, MASK, VOXEL, OBLIQUE, radians_per_ppm=25.0) for f in (wrapped, FIELD))
    linear = [ndi(f, MASK, VOXEL, OBLIQUE, radians_per_ppm=1e-2) for f in (wrapped, FIELD)]
    assert (a - b)[MASK].std() < 0.1 * (linear[0] - linear[1])[MASK].std()


def test_a_source_whose_field_is_beyond_half_a_turn_keeps_its_strength():
    strong, weak = (ndi(s * FIELD, MASK, VOXEL, OBLIQUE, radians_per_ppm=25.0) for s in (4.0, 0.1))
    assert np.abs(4 * FIELD).max() * 25 > 1.5 * np.pi
    assert contrast(strong) == pytest.approx(40 * contrast(weak), rel=0.05)


def test_small_phases_make_it_linear():
    a, b = (ndi(s * FIELD, MASK, VOXEL, OBLIQUE, radians_per_ppm=1e-2) for s in (1.0, 2.0))
    np.testing.assert_allclose(2 * a, b, atol=1e-5)


def test_a_field_of_no_weight_is_ignored():
    ruined = R > 12
    weight = np.where(ruined, 0, 1).astype(np.float32)
    a, b = (
        ndi(np.where(ruined, x, FIELD), MASK, VOXEL, OBLIQUE, weight=weight, radians_per_ppm=10.0)
        for x in (0.3, 0.0)
    )
    np.testing.assert_array_equal(a, b)


def test_only_the_ratio_of_weights_to_the_regularisation_matters():
    weight = np.random.default_rng(0).uniform(0.3, 1, SHAPE).astype(np.float32)
    a, b = (
        ndi(
            FIELD, MASK, VOXEL, OBLIQUE,
            radians_per_ppm=10.0, weight=s * weight, regularisation=1e-3 * s**2,
        )
        for s in (1, 8)
    )  # fmt: skip
    np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("radians", [0.0, -3.0, float("nan")])
def test_no_phase_for_a_field_is_refused(radians):
    with pytest.raises(ValueError, match=r"radians_per_ppm is .* must be above 0"):
        ndi(FIELD, MASK, VOXEL, OBLIQUE, radians_per_ppm=radians)
