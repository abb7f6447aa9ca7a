from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.r2star import t2star, weighted_log_fit

TIMES_S = np.array([4.5e-3, 9.8e-3, 15.1e-3, 20.4e-3, 25.7e-3])
R2STAR = np.array([0.0, 5.0, 20.0, 40.0, 120.0]).reshape(1, 1, 5)


def decay(r2star, size=1.0, times_s=TIMES_S):
    """Magnitude (echo, z, y, x)."""
    return (size * np.exp(-np.multiply.outer(times_s, r2star))).astype(np.float32)


@pytest.mark.parametrize("size", [1.0, 3000.0, 1e-7])
@pytest.mark.parametrize("echoes", [2, 3, 5])
def test_a_perfect_decay_gives_its_rate_whatever_its_size(size, echoes):
    times_s = TIMES_S[:echoes]
    found = weighted_log_fit(decay(R2STAR, size, times_s), times_s)
    np.testing.assert_allclose(found, R2STAR, rtol=1e-3, atol=0.01)


def test_each_voxel_has_its_own_size():
    size = np.array([1.0, 0.02, 0.5, 3.0, 0.1])
    np.testing.assert_allclose(
        weighted_log_fit(decay(R2STAR, size), TIMES_S), R2STAR, rtol=1e-3, atol=0.01
    )


def noisy(r2star, snr):
    rng = np.random.default_rng(0)
    signal = decay(np.full((20, 20, 50), r2star), snr)
    real, imag = rng.normal(scale=np.sqrt(0.5), size=(2, *signal.shape))
    return np.abs(signal + real + 1j * imag).astype(np.float32)


@pytest.mark.parametrize("r2star", [15.0, 30.0, 60.0])
def test_noise_hardly_biases_the_rate(r2star):
    found = weighted_log_fit(noisy(r2star, 60), TIMES_S)
    assert found.mean() == pytest.approx(r2star, rel=0.01)


def test_the_scatter_is_that_of_the_best_linear_fit():
    r2star, snr = 40.0, 80.0
    weight = (snr * np.exp(-r2star * TIMES_S)) ** 2
    late = TIMES_S - (weight * TIMES_S).sum() / weight.sum()
    best = np.sqrt(0.5 / (weight * late**2).sum())  # noise of unit variance, half of it radial
    found = weighted_log_fit(noisy(r2star, snr), TIMES_S)
    assert found.std() == pytest.approx(best, rel=0.04)


def test_a_signal_that_has_gone_leaves_the_rate_to_the_early_echoes():
    magnitude = decay(np.full((1, 1, 1), 300.0), 1000.0)
    magnitude[3:] = 3.0  # noise floor
    assert weighted_log_fit(magnitude, TIMES_S).item() == pytest.approx(300, rel=0.03)


def test_the_rate_is_never_negative():
    rising = decay(np.full((2, 3, 4), -30.0))
    np.testing.assert_array_equal(weighted_log_fit(rising, TIMES_S), 0)


def test_voxels_without_signal_have_no_rate_and_no_nan():
    magnitude = decay(np.full((1, 1, 2), 20.0))
    magnitude[..., 0] = 0
    np.testing.assert_allclose(weighted_log_fit(magnitude, TIMES_S)[0, 0], [0, 20], atol=0.01)


def test_a_single_dark_echo_does_not_break_the_fit():
    magnitude = decay(np.full((1, 1, 1), 20.0))
    magnitude[4] = 0
    assert weighted_log_fit(magnitude, TIMES_S).item() == pytest.approx(20, rel=0.01)


def test_an_image_of_nothing_is_0():
    np.testing.assert_array_equal(weighted_log_fit(np.zeros((5, 2, 3, 4)), TIMES_S), 0)


def test_the_rate_is_single_precision():
    assert weighted_log_fit(decay(R2STAR).astype(float), TIMES_S).dtype == np.float32


def test_one_echo_is_refused():
    with pytest.raises(ValueError, match="at least two echoes"):
        weighted_log_fit(decay(R2STAR)[:1], TIMES_S[:1])


def test_t2star_is_the_inverse_of_the_rate_in_ms():
    np.testing.assert_allclose(t2star(R2STAR), [[[0, 200, 50, 25, 1000 / 120]]], rtol=1e-6)


def test_a_t2star_too_long_to_be_told_is_0():
    rates = np.array([1.9, 2.1, 9.9, 10.1], np.float32)
    np.testing.assert_array_equal(t2star(rates) > 0, [False, True, True, True])
    np.testing.assert_array_equal(t2star(rates, longest_ms=100) > 0, [False, False, False, True])


def test_the_fit_and_t2star_agree_on_a_device(device):
    magnitude = noisy(30.0, 50)[:, :3, :5, :7]
    rate = weighted_log_fit(magnitude, TIMES_S)
    found = weighted_log_fit(device(magnitude), TIMES_S)
    np.testing.assert_allclose(found.get(), rate, rtol=1e-5)
    np.testing.assert_allclose(t2star(found).get(), t2star(rate), rtol=1e-5)
