from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from gadgetron_qsm.contrast.nonlinear_r2star import nonlinear_r2star
from gadgetron_qsm.contrast.r2star import weighted_log_fit
from tests.contrast.decay import decay, noisy

TIMES_S = np.array([4.5e-3, 9.8e-3, 15.1e-3, 20.4e-3, 29.0e-3])
R2STAR = np.array([[[0.0, 5.0, 20.0, 40.0, 120.0]]])


@pytest.mark.parametrize("floor", [0.0, 2.0])
def test_the_fit_is_the_least_squares_solution(floor):
    magnitude = noisy(40.0, TIMES_S, 12.0, shape=(1, 2, 6), deviation=1.0, seed=1)

    def misfit(guess, measured):
        return np.hypot(np.exp(guess[0] - guess[1] * TIMES_S), floor) - measured

    expected = [
        max(scipy.optimize.least_squares(misfit, (2.5, 40), args=(m,)).x[1], 0)
        for m in magnitude.reshape(5, -1).T
    ]
    found = nonlinear_r2star(magnitude, TIMES_S, noise_floor=floor, iterations=30)
    np.testing.assert_allclose(found.ravel(), expected, rtol=2e-3, atol=0.05)


def test_no_voxel_fits_worse_than_where_it_began():
    magnitude = noisy(300.0, TIMES_S, 2.0, deviation=1.0)

    def misfit(rate):
        decays = np.exp(-np.multiply.outer(TIMES_S, rate.astype(float)))
        amplitude = (magnitude * decays).sum(axis=0) / (decays**2).sum(axis=0)
        return ((magnitude - amplitude * decays) ** 2).sum(axis=0)

    found = nonlinear_r2star(magnitude, TIMES_S, iterations=1)
    began = weighted_log_fit(magnitude, TIMES_S)
    assert np.all(misfit(found) <= misfit(began) * 1.001)


def test_steps_stay_bounded_where_there_is_but_noise():
    noise = np.abs(np.random.default_rng(0).standard_normal((5, 10, 100, 50))).astype(np.float32)
    assert np.isfinite(nonlinear_r2star(noise, TIMES_S, noise_floor=1.0, iterations=20)).all()


def test_the_default_iterations_suffice_where_there_is_signal():
    magnitude = noisy(60.0, TIMES_S, 30.0, deviation=1.0)
    soon, late = (nonlinear_r2star(magnitude, TIMES_S, iterations=n) for n in (5, 30))
    assert np.abs(soon - late).max() < 0.1


def test_a_decay_into_the_noise_keeps_its_rate_with_the_floor_given():
    magnitude = noisy(150.0, TIMES_S, 30.0, deviation=1.0)
    without = nonlinear_r2star(magnitude, TIMES_S).mean()
    given = nonlinear_r2star(magnitude, TIMES_S, noise_floor=1.0).mean()
    assert without < 0.95 * 150
    assert given == pytest.approx(150, rel=0.02)


def test_dark_late_echoes_scatter_it_less_than_the_log_fit():
    magnitude = noisy(100.0, TIMES_S, 20.0, deviation=1.0)
    error = np.abs(nonlinear_r2star(magnitude, TIMES_S, noise_floor=1.0) - 100).mean()
    assert error < np.abs(weighted_log_fit(magnitude, TIMES_S) - 100).mean()


def test_one_echo_is_refused():
    with pytest.raises(ValueError, match="at least two echoes"):
        nonlinear_r2star(decay(R2STAR, TIMES_S)[:1], TIMES_S[:1])


def test_two_echoes_are_enough():
    found = nonlinear_r2star(decay(R2STAR, TIMES_S[:2]), TIMES_S[:2])
    np.testing.assert_allclose(found, R2STAR, rtol=1e-3, atol=0.01)


def test_with_a_noise_floor_it_agrees_on_a_device(device):
    magnitude = noisy(30.0, TIMES_S, 50, shape=(3, 5, 7))
    found = nonlinear_r2star(device(magnitude), TIMES_S, noise_floor=0.5)
    expected = nonlinear_r2star(magnitude, TIMES_S, noise_floor=0.5)
    np.testing.assert_allclose(found.get(), expected, rtol=1e-3)
