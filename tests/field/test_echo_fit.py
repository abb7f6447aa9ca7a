from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.field.echo_fit import weighted_echo_fit

TIMES_S = np.array([4.5e-3, 9.8e-3, 15.1e-3, 20.4e-3])
LARMOR_HZ = 123.25e6  # 2.895 T, sold as 3 T


def line(field_hz, times_s=TIMES_S):
    return 2 * np.pi * np.multiply.outer(times_s, field_hz).astype(np.float32)


def magnitudes(*sizes):
    """Magnitude (echo, 1, 1, 100) of each echo."""
    return np.broadcast_to(np.reshape(sizes, (-1, 1, 1, 1)), (len(sizes), 1, 1, 100))


@pytest.mark.parametrize("ppm", [-0.7, 0.0, 0.05, 2.0])
def test_the_field_is_the_slope_in_ppm_of_the_larmor_frequency_with_its_sign(ppm):
    field_hz = np.full((2, 3, 4), ppm * LARMOR_HZ * 1e-6)
    fit = weighted_echo_fit(line(field_hz), np.ones((4, 2, 3, 4)), TIMES_S, LARMOR_HZ)
    np.testing.assert_allclose(fit.total_field, ppm, rtol=1e-5, atol=1e-7)


def test_a_perfect_line_leaves_no_residual():
    field_hz = np.linspace(-100, 100, 100).reshape(1, 1, 100)
    fit = weighted_echo_fit(line(field_hz), magnitudes(4, 3, 2, 1), TIMES_S, LARMOR_HZ)
    assert fit.residual.max() < 1e-4


def test_the_residual_is_the_weighted_root_mean_square_in_rad():
    # weights 4 and 1: slope 2 * 0.6 / (4 + 4) = 0.15, off by -0.15 and 0.6 - 0.3
    phase, magnitude = np.reshape([0, 0.6], (2, 1, 1, 1)), np.reshape([2, 1], (2, 1, 1, 1))
    fit = weighted_echo_fit(phase, magnitude, (1.0, 2.0), LARMOR_HZ)
    assert fit.residual.item() == pytest.approx(np.sqrt((4 * 0.15**2 + 0.3**2) / 5), rel=1e-5)


def test_a_phase_that_no_field_explains_has_a_large_residual():
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (4, 1, 1, 100))
    fit = weighted_echo_fit(phase, magnitudes(1, 1, 1, 1), TIMES_S, LARMOR_HZ)
    assert np.median(fit.residual) > 1


def test_an_echo_without_signal_has_no_say():
    phase = line(np.full((1, 1, 100), 30.0))
    phase[3] += 2
    fit = weighted_echo_fit(phase, magnitudes(1, 1, 1, 0), TIMES_S, LARMOR_HZ)
    np.testing.assert_allclose(fit.total_field, 30 / 123.25, rtol=1e-5)
    assert fit.residual.max() < 1e-4


def noisy_fit(size, **given):
    """Fit of 20000 voxels of a decaying signal with unit complex noise."""
    rng = np.random.default_rng(0)
    field_hz = np.full((20, 20, 50), 30.0)
    magnitude = np.reshape(size, (-1, 1, 1, 1)) * np.ones(field_hz.shape)
    real, imag = rng.normal(scale=np.sqrt(0.5), size=(2, *magnitude.shape))
    signal = magnitude + real + 1j * imag
    times_s = TIMES_S[: len(size)]
    phase = line(field_hz, times_s) + np.angle(signal)
    return weighted_echo_fit(phase, np.abs(signal), times_s, LARMOR_HZ, **given)


@pytest.mark.parametrize("size", [(60, 55, 50, 46), (100, 60, 36, 22)])
def test_the_predicted_noise_is_that_of_repeated_fits(size):
    fit = noisy_fit(size)
    assert fit.total_field.std() == pytest.approx(np.median(fit.noise), rel=0.03)


def test_a_noisy_field_is_unbiased():
    fit = noisy_fit((60, 55, 50, 46))
    error = fit.total_field.mean() - 30 / 123.25
    assert abs(error) < 4 * fit.total_field.std() / np.sqrt(fit.total_field.size)


def test_one_echo_gives_its_phase_over_its_time():
    phase = np.linspace(-20, 20, 100).reshape(1, 1, 1, 100)
    fit = weighted_echo_fit(phase, magnitudes(3), TIMES_S[:1], LARMOR_HZ)
    expected = phase[0] / (2 * np.pi * TIMES_S[0]) / (LARMOR_HZ * 1e-6)
    np.testing.assert_allclose(fit.total_field, expected, rtol=1e-5)


def test_the_residual_of_one_echo_is_the_noise_of_its_phase_whatever_its_wraps_and_slopes():
    rng = np.random.default_rng(0)
    ramp = np.indices((20, 21, 22)).sum(axis=0) * 0.9
    wraps = 2 * np.pi * rng.integers(-1, 2, ramp.shape)
    phase = (ramp + wraps + rng.normal(scale=0.2, size=ramp.shape))[None].astype(np.float32)
    fit = weighted_echo_fit(phase, np.ones_like(phase), TIMES_S[:1], LARMOR_HZ)
    inside = fit.residual[1:-1, 1:-1, 1:-1]
    assert np.sqrt((inside**2).mean()) == pytest.approx(0.2, rel=0.03)


def test_the_predicted_noise_of_one_echo_is_that_of_repeated_scans():
    fit = noisy_fit((60,))
    assert fit.total_field.std() == pytest.approx(np.median(fit.noise), rel=0.03)


def test_one_echo_without_signal_has_no_nan():
    fit = weighted_echo_fit(line(np.ones((1, 1, 100)))[:1], magnitudes(0), TIMES_S[:1], LARMOR_HZ)
    assert np.isfinite(fit.total_field).all()
    np.testing.assert_array_equal(fit.residual, 0)


def test_no_signal_is_an_unknown_field_but_no_warning_or_nan():
    fit = weighted_echo_fit(line(np.ones((1, 1, 100))), magnitudes(0, 0, 0, 0), TIMES_S, LARMOR_HZ)
    assert np.isfinite(fit.total_field).all()
    assert fit.noise.min() > 1e9


def test_results_are_single_precision():
    phase = np.ones((2, 1, 1, 1), np.float32)
    fit = weighted_echo_fit(phase, phase, (4e-3, 9e-3), LARMOR_HZ)
    assert {fit.total_field.dtype, fit.noise.dtype, fit.residual.dtype} == {np.dtype(np.float32)}


def test_with_the_offset_a_phase_at_te_0_makes_no_field():
    field_hz = np.linspace(-100, 100, 100).reshape(1, 1, 100)
    phase = line(field_hz) + np.linspace(3, -3, 100, dtype=np.float32)
    fit = weighted_echo_fit(phase, magnitudes(4, 3, 2, 1), TIMES_S, LARMOR_HZ, offset=True)
    np.testing.assert_allclose(fit.total_field, field_hz / 123.25, atol=1e-5)
    assert fit.residual.max() < 1e-4


def test_with_the_offset_the_predicted_noise_is_that_of_repeated_fits():
    fit = noisy_fit((60, 55, 50, 46), offset=True)
    assert fit.total_field.std() == pytest.approx(np.median(fit.noise), rel=0.03)


def test_the_offset_of_one_echo_is_refused():
    with pytest.raises(ValueError, match="cannot be told from a single echo"):
        weighted_echo_fit(line(np.ones((1, 1, 100)))[:1], magnitudes(3), (5e-3,), 1e8, offset=True)


def test_two_echoes_of_uneven_times_will_do_with_the_offset():
    phase = line(np.full((1, 1, 100), 30.0), np.array([3e-3, 11e-3])) + 1
    fit = weighted_echo_fit(phase, magnitudes(2, 1), (3e-3, 11e-3), LARMOR_HZ, offset=True)
    np.testing.assert_allclose(fit.total_field, 30 / 123.25, rtol=1e-4)


def two_fields():
    """Phase and magnitude of voxels, and their mean field (ppm): every fourth has two fields."""
    times, other = TIMES_S[:, None, None, None], np.where(np.arange(100) % 4 == 0, 0.35, 0)
    signal = (1 - other) + other * np.exp(2j * np.pi * 30 * times)
    phase = np.unwrap(np.angle(signal + np.zeros((1, 1, 1, 100))), axis=0).astype(np.float32)
    return phase, np.abs(signal).astype(np.float32), other * 30 / 123.25


def test_the_mean_field_of_a_voxel_is_found_though_later_echoes_bend_away_from_it():
    phase, magnitude, truth = two_fields()
    errors = [
        np.abs(weighted_echo_fit(phase, magnitude, TIMES_S, LARMOR_HZ, **given).total_field - truth)
        for given in ({}, {"largest_misfit_rad": 1e6})
    ]
    assert errors[0].mean() < 0.6 * errors[1].mean()


def test_echoes_that_are_not_trusted_leave_more_noise():
    phase, magnitude = line(np.zeros((1, 1, 100))), magnitudes(1, 1, 1, 1)
    phase[2:, ..., 7] += 2
    fit = weighted_echo_fit(phase, magnitude, TIMES_S, LARMOR_HZ)
    of_two = weighted_echo_fit(phase[:2], magnitude[:2], TIMES_S[:2], LARMOR_HZ)
    assert fit.noise[0, 0, 7] == pytest.approx(of_two.noise[0, 0, 7], rel=1e-2)


def test_the_residual_is_that_of_all_echoes():
    phase = line(np.zeros((1, 1, 100)))
    phase[3, ..., 7] += 2
    fit = weighted_echo_fit(phase, magnitudes(1, 1, 1, 1), TIMES_S, LARMOR_HZ)
    off = np.array([0, 0, 0, 2]) - 2 * TIMES_S[3] * TIMES_S / (TIMES_S**2).sum()
    assert fit.residual[0, 0, 7] == pytest.approx(np.sqrt((off**2).mean()), rel=1e-4)


def test_the_unit_of_the_magnitude_matters_to_the_noise_alone():
    phase, magnitude, _ = two_fields()
    fits = [weighted_echo_fit(phase, size * magnitude, TIMES_S, 1e8) for size in (1, 1000)]
    np.testing.assert_allclose(fits[0].total_field, fits[1].total_field, rtol=1e-5)
    np.testing.assert_allclose(fits[0].noise, 1000 * fits[1].noise, rtol=1e-5)


@pytest.mark.parametrize(("echoes", "offset"), [(1, False), (4, False), (4, True)])
def test_the_fit_agrees_on_a_device(device, echoes, offset):
    phase, magnitude, _ = two_fields()
    arrays = phase[:echoes], magnitude[:echoes]
    given = {"offset": offset}
    got = weighted_echo_fit(*map(device, arrays), TIMES_S[:echoes].tolist(), 1e8, **given)
    expected = weighted_echo_fit(*arrays, TIMES_S[:echoes].tolist(), 1e8, **given)
    for name in ("total_field", "noise", "residual"):
        wanted = getattr(expected, name)
        np.testing.assert_allclose(getattr(got, name).get(), wanted, rtol=1e-3, atol=1e-5)
