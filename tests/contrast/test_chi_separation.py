from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from gadgetron_qsm.contrast.chi_separation import chi_separation
from gadgetron_qsm.grid import dipole_kernel
from tests.analytic import OBLIQUE, ball, distance, sphere_field

SHAPE, VOXEL, RADIUS = (33, 34, 35), (1.0, 1.0, 1.0), 6.0
PARA, DIA = 0.16, 0.06  # ppm, of the mixture
ALONG_Z = (1.0, 0.0, 0.0)


def sphere(para=PARA, dia=DIA, shape=SHAPE, voxel_size=VOXEL, b0=OBLIQUE):
    """Field (ppm) and R2' at 3 T of a sphere that holds sources of both signs, and the mask."""
    mask = ball(shape, voxel_size, 14)
    field = (para - dia) * sphere_field(shape, voxel_size, RADIUS, b0)
    rate = np.where(ball(shape, voxel_size, RADIUS), 137 * (para + dia), 0)
    return (field * mask).astype(np.float32), rate.astype(np.float32), mask


def separate(field, rate, mask, voxel_size=VOXEL, b0=OBLIQUE, field_strength_t=3.0, **how):
    return chi_separation(
        field, rate, mask, voxel_size, b0, field_strength_t=field_strength_t, **how
    )


def within(found, shape=SHAPE, voxel_size=VOXEL):
    """Mean of chi+ and of chi- well inside the sphere."""
    core = ball(shape, voxel_size, 0.7 * RADIUS)
    return [float(part[core].mean()) for part in found]


@pytest.mark.parametrize(
    ("shape", "voxel_size"),
    [(SHAPE, VOXEL), ((17, 34, 35), (2.0, 1.0, 1.0)), ((35, 28, 23), (1.0, 1.3, 1.6))],
)
@pytest.mark.parametrize(("para", "dia"), [(PARA, DIA), (DIA, PARA), (0.1, 0.1)])
def test_a_mixture_is_told_apart(shape, voxel_size, para, dia):
    found = separate(*sphere(para, dia, shape, voxel_size), voxel_size)
    expected = pytest.approx([para, -dia], abs=0.06 * max(para, dia))
    assert within(found, shape, voxel_size) == expected


@pytest.mark.parametrize(("para", "dia"), [(0.2, 0.0), (0.0, 0.2)])
def test_a_pure_source_stays_pure(para, dia):
    assert within(separate(*sphere(para, dia))) == pytest.approx([para, -dia], abs=0.012)


@pytest.mark.parametrize("b0", [OBLIQUE, (1.0, 0.0, 0.0), (0.0, 0.6, 0.8)])
def test_the_sum_is_chi_and_tissue_without_sources_is_0(b0):
    para, dia = separate(*sphere(b0=b0), b0=b0)
    true = np.where(ball(SHAPE, VOXEL, RADIUS), PARA - DIA, 0)
    mask = ball(SHAPE, VOXEL, 14)
    error = np.sqrt(np.mean((para + dia - true)[mask] ** 2))
    assert error < 0.08 * (PARA - DIA)
    away = mask & (distance(SHAPE, VOXEL) > 1.5 * RADIUS)
    assert abs(para[away].mean()) + abs(dia[away].mean()) < 0.003


def test_a_wrong_b0_does_not_explain_the_field():
    field, rate, mask = sphere()
    wrong = separate(field, rate, mask, b0=OBLIQUE[::-1])
    assert max(abs(np.subtract(within(wrong), [PARA, -DIA]))) > 0.012


def test_signs_hold_everywhere_and_outside_the_mask_both_are_0():
    field, rate, mask = sphere()
    noise = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    para, dia = separate(field + 0.01 * noise[0], np.abs(rate + 5 * noise[1]), mask)
    assert para.dtype == dia.dtype == np.float32
    assert para.min() == 0
    assert dia.max() == 0
    assert not para[~mask].any()
    assert not dia[~mask].any()


def test_relaxation_scales_with_the_field_strength():
    field, rate, mask = sphere()
    for a, b in zip(
        separate(field, rate, mask, iterations=3),
        separate(field, rate * np.float32(7 / 3), mask, field_strength_t=7.0, iterations=3),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_each_kind_of_source_may_relax_in_its_own_way():
    field, rate, mask = sphere()
    rate = rate / 137 / (PARA + DIA) * np.float32(90 * PARA + 180 * DIA)
    found = separate(field, rate, mask, relaxivity_positive=90.0, relaxivity_negative=180.0)
    assert within(found) == pytest.approx([PARA, -DIA], abs=0.01)


def test_a_rate_that_a_strong_source_cannot_have_does_not_make_it_weak():
    field, rate, mask = sphere(0.0, 1.0)
    assert within(separate(field, rate / 8, mask))[1] < -0.8
    assert within(separate(field, rate / 8, mask, largest_misfit_ppm=10.0))[1] > -0.5


def test_r2_is_taken_off_the_rate():
    field, rate, mask = sphere()
    for a, b in zip(
        separate(field, rate, mask, iterations=3),
        separate(field, rate + 13, mask, r2_hz=13.0, iterations=3),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_what_lies_outside_the_mask_has_no_say():
    field, rate, mask = sphere()
    broken = [np.where(mask, x, np.nan) for x in (field, rate)]
    for a, b in zip(
        separate(*broken, mask, iterations=3),
        separate(field, rate, mask, iterations=3),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_a_field_of_no_weight_is_ignored():
    field, rate, mask = sphere()
    ruined = distance(SHAPE, VOXEL) > 11
    weight = np.where(ruined, 0, 1).astype(np.float32)
    found = separate(np.where(ruined, 0.3, field), rate, mask, weight=weight)
    assert within(found) == pytest.approx([PARA, -DIA], abs=0.01)


def test_a_source_outside_the_mask_is_not_taken_for_tissue():
    field, rate, mask = sphere()
    beside = (0.0, 18.0, 0.0)
    field = field + sphere_field(SHAPE, VOXEL, 4.0, OBLIQUE, beside) * mask
    para, dia = separate(field, rate, mask)
    true = np.where(ball(SHAPE, VOXEL, RADIUS), PARA - DIA, 0)
    error = (para + dia - true)[mask]
    assert np.sqrt(np.mean(error**2)) < 0.1 * (PARA - DIA)


def test_edges_of_the_magnitude_are_smoothed_less():
    field, rate, mask = sphere()
    magnitude = np.where(ball(SHAPE, VOXEL, RADIUS), 2, 1).astype(np.float32)
    how = {"regularisation": 2e-3, "iterations": 40, "edge_share": 0.03}
    without, given = (
        within(separate(field, rate, mask, magnitude=m, **how))[0] for m in (None, magnitude)
    )
    assert without < 0.9 * given < 0.9 * PARA * 1.05


def cost(para, dia, field, rate, voxel_size):
    """The cost that the docstring states, with its defaults and B0 along z."""
    kernel = dipole_kernel(field.shape, voxel_size, ALONG_Z, like=field)
    misfit = scipy.fft.irfftn(kernel * scipy.fft.rfftn(para + dia), s=field.shape) - field
    decay = np.abs(rate / 137 - para + dia)
    decay = np.where(decay < 0.03, decay**2 / 2, 0.03 * (decay - 0.015))
    side = np.prod(voxel_size) ** (1 / 3)
    gradients = sum(
        np.abs(np.roll(part, -1, axis) - part).sum() * side / voxel_size[axis]
        for axis in range(3)
        for part in (para, dia)
    )
    return (misfit**2).sum() / 2 + 0.03 * decay.sum() + 5e-5 * gradients


def test_the_result_is_the_minimum_of_the_stated_cost():
    shape, voxel_size, rng = (18, 20, 24), (1.2, 1.5, 1.0), np.random.default_rng(0)
    field, rate, _ = sphere(shape=shape, voxel_size=voxel_size, b0=ALONG_Z)
    field = field + 0.005 * rng.standard_normal(shape).astype(np.float32)
    rate = np.abs(rate + 2 * rng.standard_normal(shape).astype(np.float32))
    whole = np.ones(shape, bool)
    how = {"iterations": 600, "padding_mm": 0.0}
    found = separate(field, rate, whole, voxel_size, ALONG_Z, **how)
    para, dia = (part.astype(float) for part in found)
    lowest = cost(para, dia, field, rate, voxel_size)
    noise = rng.standard_normal((2, *shape))
    for a, b in (noise, (para, 0 * dia), (0 * para, dia), (para, -dia), (1 + 0 * para, -1)):
        for step in (0.02, -0.02):
            moved = (
                np.maximum(para + step * a * para.std(), 0),
                np.minimum(dia + step * b * dia.std(), 0),
            )
            assert cost(*moved, field, rate, voxel_size) > lowest


def test_the_default_iterations_come_close_to_the_minimum():
    field, rate, mask = sphere()
    for soon, late in zip(
        separate(field, rate, mask), separate(field, rate, mask, iterations=120), strict=True
    ):
        assert (soon - late).std() < 0.02 * late.std()


def test_an_empty_mask_is_refused():
    field, rate, mask = sphere()
    with pytest.raises(ValueError, match="the mask is empty"):
        separate(field, rate, np.zeros_like(mask))


def test_a_field_strength_of_0_is_refused():
    with pytest.raises(ValueError, match="must be above 0"):
        separate(*sphere(), field_strength_t=0.0)


def test_it_agrees_on_a_device(device):
    inputs = sphere(shape=(17, 18, 19))
    found = separate(*(device(x) for x in inputs), iterations=4)
    for a, b in zip(found, separate(*inputs, iterations=4), strict=True):
        np.testing.assert_allclose(a.get(), b, atol=1e-5)


def test_with_weight_and_edges_it_agrees_on_a_device(device):
    inputs = sphere(shape=(17, 18, 19))
    rng = np.random.default_rng(0)
    known = {name: rng.random((17, 18, 19)).astype(np.float32) for name in ("weight", "magnitude")}
    there = {name: device(x) for name, x in known.items()}
    found = separate(*(device(x) for x in inputs), iterations=4, **there)
    for a, b in zip(found, separate(*inputs, iterations=4, **known), strict=True):
        np.testing.assert_allclose(a.get(), b, atol=1e-5)
