from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.medi import FLAT_PPM, medi
from tests.analytic import OBLIQUE, ball, sphere_field
from tests.inversion.sphere import FIELD, MASK, SHAPE, VOXEL, R, contrast, error

GRID, SIDES = (20, 18, 16), (1.0, 1.5, 1.2)
UP = (1.0, 0.0, 0.0)  # for which D(k) = D(-k) on even grids too
CSF = ball(GRID, SIDES, 6)


def inverted(field, **parameters):
    return medi(field, MASK, VOXEL, OBLIQUE, **parameters)


def cost(chi, field, weight, radians, regularisation, strength):
    """The cost that the docstring states, of gradients rounded off at 0."""
    kernel = dipole_kernel(GRID, SIDES, UP, like=chi)
    found = scipy.fft.irfftn(kernel * scipy.fft.rfftn(chi), s=GRID)
    misfit = weight * np.abs(np.exp(1j * radians * found) - np.exp(1j * radians * field)) / radians
    side = np.prod(SIDES) ** (1 / 3)
    gradients = [(np.roll(chi, -1, a) - chi) * side / SIDES[a] for a in range(3)]
    rounded = sum(np.sqrt(g**2 + FLAT_PPM**2).sum() for g in gradients)
    uneven = ((chi[CSF] - chi[CSF].mean()) ** 2).sum()
    return (misfit**2).sum() / 2 + regularisation * rounded + strength / 2 * uneven


@pytest.mark.parametrize(("radians", "strength"), [(None, 0.0), (8.0, 0.0), (None, 0.3)])
def test_the_result_is_a_minimum_of_the_stated_cost(radians, strength):
    rng = np.random.default_rng(0)
    field = 0.2 * sphere_field(GRID, SIDES, 5, UP) + 0.02 * rng.standard_normal(GRID)
    weight = rng.uniform(0.3, 1, GRID).astype(np.float32)
    chi = medi(
        field, np.ones(GRID, bool), SIDES, UP, weight=weight, radians_per_ppm=radians,
        csf=CSF if strength else None, csf_regularisation=strength,
        regularisation=1e-3, iterations=100, cg_iterations=50, padding_mm=0.0,
    ).astype(float)  # fmt: skip
    how = (field, weight, radians or 1e-3, 1e-3, strength)
    lowest = cost(chi, *how)
    noise = rng.standard_normal(GRID)
    for change in (chi, noise, field, *(np.roll(chi, 1, axis) - chi for axis in range(3))):
        step = 0.05 * change / change.std() * chi.std()
        for moved in (chi + step, chi - step):
            assert cost(moved, *how) > lowest


def test_edges_of_the_magnitude_keep_a_noisy_sphere_sharp():
    noisy = FIELD + 0.02 * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    magnitude = np.where(R < 6, 1.0, 2.0).astype(np.float32)
    with_edges, without = (
        error(inverted(noisy, magnitude=m, regularisation=2e-3, edge_share=0.05))
        for m in (magnitude, None)
    )
    assert with_edges < 0.8 * without


def test_csf_is_even_and_the_reference():
    uneven = FIELD + 0.02 * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    csf = (R > 8) & (R < 11)
    plain, referenced = (inverted(uneven, csf=c) for c in (None, csf))
    assert referenced[csf].mean() == pytest.approx(0, abs=1e-5)
    assert referenced[csf].std() < 0.6 * plain[csf].std()
    assert referenced[R < 4].mean() == pytest.approx(0.1, rel=0.1)


def test_whole_turns_of_single_voxels_do_little_harm():
    lost = np.random.default_rng(0).random(SHAPE) < 0.02
    wrapped = np.where(lost, FIELD - np.float32(2 * np.pi / 10), FIELD)
    found, linear = (inverted(wrapped, radians_per_ppm=r) for r in (10.0, None))
    assert error(found) < 0.3 * error(linear)


def test_a_source_whose_field_is_beyond_half_a_turn_keeps_its_strength():
    strong, turns = 4 * FIELD, 25.0
    assert np.abs(strong).max() * turns > 1.5 * np.pi
    assert contrast(inverted(strong, radians_per_ppm=turns)) == pytest.approx(0.4, rel=0.1)


def test_merit_lowers_the_harm_of_outliers():
    off = np.random.default_rng(0).random(SHAPE) < 0.01
    spoilt = np.where(off, np.float32(0.3), FIELD)
    forgiving, plain = (error(inverted(spoilt, merit=m)) for m in (True, False))
    assert forgiving < 0.6 * plain


def test_a_field_of_no_weight_is_ignored():
    ruined = R > 13
    weight = np.where(ruined, 0, 1).astype(np.float32)
    a, b = (inverted(np.where(ruined, x, FIELD), weight=weight) for x in (0.3, 0.0))
    np.testing.assert_array_equal(a, b)


def test_csf_outside_the_mask_is_refused():
    with pytest.raises(ValueError, match="no voxel of csf lies in the mask"):
        inverted(FIELD, csf=~MASK)


@pytest.mark.parametrize("name", ["regularisation", "radians_per_ppm"])
def test_what_must_be_above_0_is_refused_at_0(name):
    with pytest.raises(ValueError, match=f"{name} is 0; it must be above 0"):
        inverted(FIELD, **{name: 0.0})
