from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.tikhonov import tikhonov
from tests.analytic import OBLIQUE
from tests.inversion.sphere import FIELD, MASK, VOXEL, contrast

GRID, SIDES = (20, 18, 16), (1.0, 1.5, 1.2)
UP = (1.0, 0.0, 0.0)  # for which D(k) = D(-k) on even grids too


def cost(chi, field, regularisation, penalty):
    """The cost that the docstring states."""
    kernel = dipole_kernel(GRID, SIDES, UP, like=chi)
    misfit = scipy.fft.irfftn(kernel * scipy.fft.rfftn(chi), s=GRID) - field
    side = np.prod(SIDES) ** (1 / 3)
    sizes = {
        "identity": (chi**2).sum(),
        "gradient": sum(
            (((np.roll(chi, -1, axis) - chi) * side / SIDES[axis]) ** 2).sum() for axis in range(3)
        ),
    }
    return (misfit**2).sum() + regularisation * sizes[penalty]


@pytest.mark.parametrize("penalty", ["identity", "gradient"])
def test_the_result_is_the_minimum_of_the_stated_cost(penalty):
    field = np.random.default_rng(0).standard_normal(GRID).astype(np.float32)
    how = {"regularisation": 0.02, "penalty": penalty}
    whole = np.ones(GRID, bool)
    chi = tikhonov(field, whole, SIDES, UP, correct=False, padding_mm=0.0, **how)
    chi = chi.astype(float)
    lowest = cost(chi, field, **how)
    noise = np.random.default_rng(1).standard_normal(GRID)
    for change in (chi, noise, field, *(np.roll(chi, 1, axis) - chi for axis in range(3))):
        step = 0.01 * change / change.std() * chi.std()
        for moved in (chi + step, chi - step):
            assert cost(moved, field, **how) > lowest


def test_correcting_scales_the_map_of_the_identity():
    plain, mended = (tikhonov(FIELD, MASK, VOXEL, OBLIQUE, correct=c) for c in (False, True))
    factor = (plain * mended).sum() / (plain**2).sum()
    assert factor > 1.05
    np.testing.assert_allclose(mended, factor * plain, atol=1e-6)


@pytest.mark.parametrize("regularisation", [0.001, 0.004, 0.016])
def test_corrected_the_contrast_hardly_depends_on_the_regularisation(regularisation):
    chi = tikhonov(FIELD, MASK, VOXEL, OBLIQUE, regularisation=regularisation)
    assert contrast(chi) == pytest.approx(0.095, rel=0.04)


def test_the_map_of_the_gradient_is_never_scaled():
    plain, mended = (
        tikhonov(FIELD, MASK, VOXEL, OBLIQUE, correct=c, penalty="gradient") for c in (False, True)
    )
    np.testing.assert_array_equal(plain, mended)


def test_the_mean_of_the_field_has_no_say():
    whole, field = np.ones(GRID, bool), np.random.default_rng(0).random(GRID, np.float32)
    a, b = (tikhonov(x, whole, SIDES, OBLIQUE, padding_mm=0.0) for x in (field, field + 1))
    np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("regularisation", [0.0, -1.0, float("nan")])
def test_no_regularisation_is_refused(regularisation):
    with pytest.raises(ValueError, match=r"regularisation is .* must be above 0"):
        tikhonov(FIELD, MASK, VOXEL, OBLIQUE, regularisation=regularisation)
