from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.nonlinear_fit import nonlinear_fit
from tests.analytic import coordinates

LARMOR_HZ = 123.25e6
SHAPE, VOXEL = (9, 20, 21), (1, 1, 1)
UNEVEN = (4e-3, 9e-3, 11.7e-3, 19e-3)


def signal(field_hz, offset, times_s):
    times = np.reshape(times_s, (-1, 1, 1, 1))
    return np.exp(1j * (2 * np.pi * field_hz * times + offset)).astype(np.complex64)


def fit_hz(echoes, times_s, **given):
    fit = nonlinear_fit(echoes, times_s, LARMOR_HZ, VOXEL, **given)
    return fit.total_field * LARMOR_HZ * 1e-6


def bowl():
    """From -230 to 150 Hz: more than two turns in 5 ms."""
    z, y, x = coordinates(SHAPE, VOXEL)
    return 1.4 * (x**2 - y**2) + 6 * z


def coil():
    """A smooth phase at TE = 0 of more than a turn."""
    z, y, x = coordinates(SHAPE, VOXEL)
    return 0.35 * x + 0.01 * y**2 + 0.1 * z


@pytest.mark.parametrize(
    "times_s",
    [UNEVEN, (4e-3, 9e-3, 14e-3), (4e-3, 12e-3, 20e-3, 28e-3), (12e-3, 16e-3, 22e-3), (5e-3, 8e-3)],
    ids=["uneven", "even", "first sooner than spacing", "late first", "two"],
)
def test_a_smooth_offset_makes_no_field(times_s):
    found = fit_hz(signal(0.5 * bowl(), coil() - coil().mean(), times_s), times_s)
    np.testing.assert_allclose(found, 0.5 * bowl(), atol=0.05)


def test_fields_of_many_turns_between_echoes_are_found_at_uneven_times():
    found = fit_hz(signal(bowl(), coil(), UNEVEN), UNEVEN)
    np.testing.assert_allclose(found, bowl(), atol=0.05)


def test_fields_that_wrap_from_voxel_to_voxel_are_found_if_the_first_echo_comes_soon():
    times_s, steep = (4e-3, 12e-3, 20e-3), 4.5 * coordinates(SHAPE, VOXEL)[2] ** 2
    assert np.diff(steep).max() * 8e-3 > 0.6  # turns
    found = fit_hz(signal(steep - steep.mean(), coil() - coil().mean(), times_s), times_s)
    away = found - steep
    np.testing.assert_allclose(away - away.mean(), 0, atol=0.05)


@pytest.mark.parametrize("centre_hz", [-230, 0, 170])
def test_uneven_times_tell_a_centre_frequency_far_off(centre_hz):
    found = fit_hz(signal(centre_hz + 0.1 * bowl(), coil(), UNEVEN), UNEVEN)
    np.testing.assert_allclose(found, centre_hz + 0.1 * bowl(), atol=0.05)


def test_it_is_the_least_squares_of_the_complex_signal():
    """Where noise is large, moving the fit either way must not bring it nearer to the echoes."""
    rng, times = np.random.default_rng(0), np.reshape(UNEVEN, (-1, 1, 1, 1))
    noise = rng.normal(scale=0.15, size=(2, 4, *SHAPE))
    echoes = (signal(0 * bowl(), 0, UNEVEN) + noise[0] + 1j * noise[1]).astype(np.complex64)
    given = {"iterations": 8, "largest_misfit_rad": 1e6}
    found = fit_hz(echoes, UNEVEN, **given)

    def distance(field_hz):
        turned = echoes * np.exp(-2j * np.pi * field_hz * times)
        size = np.abs(echoes)
        offset = np.angle((size * turned).sum(axis=0))
        return (np.abs(turned - size * np.exp(1j * offset)) ** 2).sum(axis=0)

    nearest = distance(found)
    for step in (-0.5, 0.5):
        assert (distance(found + step) > nearest).mean() > 0.99


def test_more_steps_come_nearer_to_it():
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.2, size=(2, 4, *SHAPE))
    echoes = (signal(0 * bowl(), 0, UNEVEN) + noise[0] + 1j * noise[1]).astype(np.complex64)
    end = fit_hz(echoes, UNEVEN, iterations=30)
    away = [np.abs(fit_hz(echoes, UNEVEN, iterations=n) - end).mean() for n in (1, 2, 3)]
    assert away[2] < away[1] < away[0]


def test_without_offset_the_phase_at_te_0_is_taken_for_a_field():
    times_s = (4e-3, 8e-3)
    found = fit_hz(signal(np.full(SHAPE, 20.0), 0.1, times_s), times_s, offset=False)
    phase = 2 * np.pi * 20 * np.array(times_s) + 0.1
    expected = (phase * times_s).sum() / (2 * np.pi * np.square(times_s).sum())
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_offset_of_one_echo_is_refused():
    with pytest.raises(ValueError, match="at least two echoes; set offset to False"):
        fit_hz(signal(bowl(), 0, UNEVEN[:1]), UNEVEN[:1])
