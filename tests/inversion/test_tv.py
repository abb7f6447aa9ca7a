from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.tkd import tkd
from gadgetron_qsm.inversion.tv import tv
from tests.analytic import OBLIQUE, sphere_field
from tests.inversion.sphere import FIELD, MASK, SHAPE, VOXEL, R, contrast, error

NOISY = FIELD + 0.01 * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def total_variation(chi):
    return sum(np.abs(np.diff(chi, axis=axis)).sum() for axis in range(3))


def test_a_field_of_no_weight_is_ignored():
    ruined = R > 12
    weight = np.where(ruined, 0, 1).astype(np.float32)
    field = np.where(ruined, 0.3, FIELD)
    ignored = tv(field, MASK, VOXEL, OBLIQUE, weight=weight)
    assert contrast(ignored) == pytest.approx(0.1, rel=0.1)
    np.testing.assert_array_equal(ignored, tv(FIELD, MASK, VOXEL, OBLIQUE, weight=weight))


def test_no_weight_means_that_the_mask_is_the_weight():
    ones = np.ones(SHAPE, np.float32)
    a, b = (tv(FIELD, MASK, VOXEL, OBLIQUE, weight=w, iterations=3) for w in (None, ones))
    np.testing.assert_array_equal(a, b)


def test_more_regularisation_gives_less_total_variation():
    chis = [tv(NOISY, MASK, VOXEL, OBLIQUE, regularisation=r) for r in (1e-5, 1e-4, 1e-3)]
    variations = [total_variation(chi) for chi in chis]
    assert variations[0] > 1.2 * variations[1] > 1.5 * variations[2]


def test_regularisation_lowers_the_error_of_a_noisy_sphere():
    weak, strong = (tv(NOISY, MASK, VOXEL, OBLIQUE, regularisation=r) for r in (1e-6, 5e-4))
    assert error(strong) < 0.5 * error(weak)


def test_edges_of_the_magnitude_lower_the_error_of_a_noisy_sphere():
    magnitude = np.where(R < 6, 0.5, 1).astype(np.float32)
    blind, seeing = (
        tv(NOISY, MASK, VOXEL, OBLIQUE, magnitude=m, edge_share=0.05, regularisation=1e-3)
        for m in (None, magnitude)
    )
    assert error(seeing) < 0.9 * error(blind)


def test_the_unit_of_the_magnitude_does_not_matter():
    magnitude = np.random.default_rng(1).random(SHAPE, np.float32)
    a, b = (
        tv(FIELD, MASK, VOXEL, OBLIQUE, magnitude=s * magnitude, iterations=3) for s in (1, 1024)
    )
    np.testing.assert_array_equal(a, b)


def test_a_source_beside_the_mask_is_explained_by_what_is_outside():
    mask = MASK & (R < 15)
    field = sphere_field(SHAPE, VOXEL, 3, OBLIQUE, centre=(0, 0, 19)) * mask
    assert tv(field, mask, VOXEL, OBLIQUE)[mask].std() < 0.5 * field[mask].std()
    assert tkd(field, mask, VOXEL, OBLIQUE)[mask].std() > 1.5 * field[mask].std()


def small_problem():
    """A noisy field on a grid of even, good sizes, within a box that leaves a rim: no padding."""
    shape, voxel_size, rng = (24, 20, 18), (1.0, 1.5, 1.2), np.random.default_rng(0)
    weight = rng.uniform(0.3, 1, shape).astype(np.float32)
    field = 0.1 * sphere_field(shape, voxel_size, 5, OBLIQUE) + 0.005 * rng.standard_normal(shape)
    return field, voxel_size, weight


def cost(chi, field, voxel_size, weight, regularisation):
    """The cost that the docstring states, of a mask that is the whole grid."""
    kernel = dipole_kernel(field.shape, voxel_size, OBLIQUE, like=field)
    misfit = weight * (scipy.fft.irfftn(kernel * scipy.fft.rfftn(chi), s=field.shape) - field)
    side = np.prod(voxel_size) ** (1 / 3)
    gradients = sum(
        np.abs(np.roll(chi, -1, axis) - chi).sum() * side / voxel_size[axis] for axis in range(3)
    )
    return (misfit**2).sum() / 2 + regularisation * gradients


@pytest.mark.parametrize("regularisation", [1e-4, 1e-3])
def test_the_result_is_the_minimum_of_the_stated_cost(regularisation):
    field, voxel_size, weight = small_problem()
    whole, how = np.ones(field.shape, bool), {"regularisation": regularisation, "padding_mm": 0.0}
    chi = tv(field, whole, voxel_size, OBLIQUE, weight=weight, iterations=500, **how)
    chi = chi.astype(float)
    lowest = cost(chi, field, voxel_size, weight, regularisation)
    noise = np.random.default_rng(1).standard_normal(chi.shape)
    for change in (chi, noise, field, *(np.roll(chi, 1, axis) - chi for axis in range(3))):
        step = 0.02 * change / change.std() * chi.std()
        for moved in (chi + step, chi - step):
            assert cost(moved, field, voxel_size, weight, regularisation) > lowest


def test_the_default_iterations_come_close_to_the_minimum():
    soon, late = (tv(FIELD, MASK, VOXEL, OBLIQUE, **how) for how in ({}, {"iterations": 150}))
    assert (soon - late)[MASK].std() < 0.1 * late[MASK].std()


@pytest.mark.parametrize("regularisation", [0.0, -1.0, float("nan")])
def test_no_regularisation_is_refused(regularisation):
    with pytest.raises(ValueError, match=r"regularisation is .* must be above 0"):
        tv(FIELD, MASK, VOXEL, OBLIQUE, regularisation=regularisation)
