from __future__ import annotations

import inspect

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm import inversion
from gadgetron_qsm.grid import dipole_kernel
from gadgetron_qsm.inversion.tv import tv
from tests.analytic import OBLIQUE, ball, distance, sphere_field

SHAPE, VOXEL, RADIUS = (40, 41, 42), (1.0, 1.0, 1.0), 6.0
LARGEST_ERROR = 0.08
MASK = ball(SHAPE, VOXEL, 17)
R = distance(SHAPE, VOXEL)


def sphere_in(shape, voxel_size, b0=OBLIQUE, chi=0.1):
    """Field of a sphere of `chi` in a spherical mask, and the mask."""
    mask = ball(shape, voxel_size, 17)
    return chi * sphere_field(shape, voxel_size, RADIUS, b0) * mask, mask


FIELD = sphere_in(SHAPE, VOXEL)[0]


def contrast(chi, r=R):
    """Susceptibility of the sphere relative to what is around."""
    return chi[r < 0.7 * RADIUS].mean() - chi[(r > 1.5 * RADIUS) & (r < 16)].mean()


def error(chi):
    """Root mean square error in the mask relative to the true contrast, without means."""
    return (chi - 0.1 * (R < RADIUS))[MASK].std() / 0.1


def total_variation(chi):
    return sum(np.abs(np.diff(chi, axis=axis)).sum() for axis in range(3))


@pytest.mark.parametrize("true_chi", [0.1, -0.1, 0.02])
@pytest.mark.parametrize(
    ("shape", "voxel_size"),
    [(SHAPE, VOXEL), ((21, 40, 42), (2.0, 1.0, 1.0)), ((42, 34, 27), (1.0, 1.3, 1.6))],
)
def test_a_sphere_comes_back_with_its_sign_and_size(shape, voxel_size, true_chi):
    field, mask = sphere_in(shape, voxel_size, chi=true_chi)
    chi = tv(field, mask, voxel_size, OBLIQUE, regularisation=1e-3 * abs(true_chi))
    assert contrast(chi, distance(shape, voxel_size)) == pytest.approx(true_chi, rel=0.06)


@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0), (0.0, 0.6, 0.8)])
def test_a_sphere_comes_back_for_any_b0(b0):
    field, mask = sphere_in(SHAPE, VOXEL, b0)
    assert error(tv(field, mask, VOXEL, b0)) < LARGEST_ERROR


@pytest.mark.parametrize(
    "wrong",
    [(1.0, 0.0, 0.0), OBLIQUE[::-1], (0.8, 0.36, 0.48), (0.8, 0.48, -0.36)],
    ids=["along z", "axes reversed", "sign of y", "y and x swapped"],
)
def test_a_wrong_b0_gives_a_much_worse_sphere(wrong):
    assert error(tv(FIELD, MASK, VOXEL, wrong)) > 2 * LARGEST_ERROR


def test_b0_up_or_down_is_the_same():
    down = tuple(-b for b in OBLIQUE)
    np.testing.assert_allclose(tv(FIELD, MASK, VOXEL, down), tv(FIELD, MASK, VOXEL, OBLIQUE))


def test_chi_is_0_outside_the_mask_and_single_precision():
    chi = tv(FIELD.astype(float), MASK, VOXEL, OBLIQUE, iterations=3)
    assert chi.dtype == np.float32
    assert chi.shape == SHAPE
    assert not chi[~MASK].any()
    assert chi[MASK].any()


def test_the_field_outside_the_mask_has_no_say():
    broken = np.where(MASK, FIELD, np.nan)
    a, b = (tv(field, MASK, VOXEL, OBLIQUE, iterations=3) for field in (broken, FIELD))
    np.testing.assert_array_equal(a, b)


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
    noisy = FIELD + 0.01 * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    chis = [tv(noisy, MASK, VOXEL, OBLIQUE, regularisation=r) for r in (1e-5, 1e-4, 1e-3)]
    variations = [total_variation(chi) for chi in chis]
    assert variations[0] > 1.2 * variations[1] > 1.5 * variations[2]


def test_regularisation_lowers_the_error_of_a_noisy_sphere():
    noisy = FIELD + 0.01 * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    weak, strong = (tv(noisy, MASK, VOXEL, OBLIQUE, regularisation=r) for r in (1e-6, 5e-4))
    assert error(strong) < 0.5 * error(weak)


def small_problem():
    """A noisy field that fills a grid of good, even sizes: no mask and no padding to think of."""
    shape, voxel_size, rng = (24, 20, 18), (1.0, 1.5, 1.2), np.random.default_rng(0)
    weight = rng.uniform(0.3, 1, shape).astype(np.float32)
    field = 0.1 * sphere_field(shape, voxel_size, 5, OBLIQUE) + 0.005 * rng.standard_normal(shape)
    return field, voxel_size, weight


def cost(chi, field, voxel_size, weight, regularisation):
    """The cost that the docstring states."""
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
    field, voxel_size, weight = small_problem()
    whole, how = np.ones(field.shape, bool), {"weight": weight, "padding_mm": 0.0}
    soon = tv(field, whole, voxel_size, OBLIQUE, **how)
    late = tv(field, whole, voxel_size, OBLIQUE, iterations=500, **how)
    assert (soon - late).std() < 0.01 * late.std()


def test_padding_keeps_the_dipole_from_wrapping():
    shape = (26, 27, 28)
    field, mask = sphere_in(shape, VOXEL)
    r = distance(shape, VOXEL)
    wrapped, padded = (tv(field, mask, VOXEL, OBLIQUE, padding_mm=p) for p in (0.0, 20.0))
    assert abs(contrast(padded, r) - 0.1) < abs(contrast(wrapped, r) - 0.1)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="the mask is empty"):
        tv(FIELD, np.zeros(SHAPE, bool), VOXEL, OBLIQUE)


@pytest.mark.parametrize("method", inversion.METHODS.values(), ids=list(inversion.METHODS))
def test_every_method_takes_local_field_mask_voxel_size_and_b0(method):
    parameters = list(inspect.signature(method).parameters.values())
    first = ["local_field", "mask", "voxel_size", "b0_direction"]
    assert [p.name for p in parameters[:4]] == first
    assert {p.kind.name for p in parameters[4:]} == {"KEYWORD_ONLY"}
    assert "weight" in [p.name for p in parameters[4:]]
