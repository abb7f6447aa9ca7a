from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.r2star import t2star, weighted_log_fit
from tests.contrast.decay import decay, noisy

TIMES_S = np.array([4.5e-3, 9.8e-3, 15.1e-3, 20.4e-3, 25.7e-3])
R2STAR = np.array([0.0, 5.0, 20.0, 40.0, 120.0]).reshape(1, 1, 5)


def test_the_scatter_is_that_of_the_best_linear_fit():
    r2star, snr = 40.0, 80.0
    weight = (snr * np.exp(-r2star * TIMES_S)) ** 2
    late = TIMES_S - (weight * TIMES_S).sum() / weight.sum()
    best = np.sqrt(0.5 / (weight * late**2).sum())  # noise of unit variance, half of it radial
    found = weighted_log_fit(noisy(r2star, TIMES_S, snr), TIMES_S)
    assert found.std() == pytest.approx(best, rel=0.04)


def test_a_signal_that_has_gone_leaves_the_rate_to_the_early_echoes():
    magnitude = decay(np.full((1, 1, 1), 300.0), TIMES_S, 1000.0)
    magnitude[3:] = 3.0  # noise floor
    assert weighted_log_fit(magnitude, TIMES_S).item() == pytest.approx(300, rel=0.03)


def test_a_single_dark_echo_does_not_break_the_fit():
    magnitude = decay(np.full((1, 1, 1), 20.0), TIMES_S)
    magnitude[4] = 0
    assert weighted_log_fit(magnitude, TIMES_S).item() == pytest.approx(20, rel=0.01)


def test_one_echo_is_refused():
    with pytest.raises(ValueError, match="at least two echoes"):
        weighted_log_fit(decay(R2STAR, TIMES_S)[:1], TIMES_S[:1])


def test_t2star_is_the_inverse_of_the_rate_in_ms():
    np.testing.assert_allclose(t2star(R2STAR), [[[0, 200, 50, 25, 1000 / 120]]], rtol=1e-6)


def test_a_t2star_too_long_to_be_told_is_0():
    rates = np.array([1.9, 2.1, 9.9, 10.1], np.float32)
    np.testing.assert_array_equal(t2star(rates) > 0, [False, True, True, True])
    np.testing.assert_array_equal(t2star(rates, longest_ms=100) > 0, [False, False, False, True])


def test_two_echoes_are_enough():
    found = weighted_log_fit(decay(R2STAR, TIMES_S[:2]), TIMES_S[:2])
    np.testing.assert_allclose(found, R2STAR, rtol=1e-3, atol=0.01)


def test_t2star_agrees_on_a_device(device):
    rates = np.array([[[0, 1.9, 20, 120]]], np.float32)
    np.testing.assert_allclose(t2star(device(rates)).get(), t2star(rates), rtol=1e-5)
