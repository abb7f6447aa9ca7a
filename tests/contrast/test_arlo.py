from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast.arlo import arlo

TIMES_S = 0.004 + 0.005 * np.arange(6)
R2STAR = np.array([[[0.0, 5.0, 20.0, 40.0, 80.0]]])


def decay(r2star, size=1.0, times_s=TIMES_S):
    """Magnitude (echo, z, y, x)."""
    return (size * np.exp(-np.multiply.outer(times_s, r2star))).astype(np.float32)


@pytest.mark.parametrize("size", [1.0, 3000.0, 1e-7])
@pytest.mark.parametrize("echoes", [3, 4, 6])
def test_a_perfect_decay_gives_its_rate_whatever_its_size(size, echoes):
    times_s = TIMES_S[:echoes]
    found = arlo(decay(R2STAR, size, times_s), times_s)
    np.testing.assert_allclose(found, R2STAR, rtol=1e-3, atol=0.01)


def test_a_decay_over_long_spacings_is_off_by_simpsons_rule_and_no_more():
    fast = 220.0
    found = arlo(decay(np.full((1, 1, 1), fast)), TIMES_S).item()
    assert found == pytest.approx(fast * (1 - (fast * 0.005) ** 4 / 180), rel=2e-3)


def noisy(r2star, snr):
    rng = np.random.default_rng(0)
    signal = decay(np.full((20, 20, 50), r2star), snr)
    real, imag = rng.normal(scale=np.sqrt(0.5), size=(2, *signal.shape))
    return np.abs(signal + real + 1j * imag).astype(np.float32)


@pytest.mark.parametrize("r2star", [15.0, 30.0, 60.0])
def test_noise_hardly_biases_the_rate(r2star):
    assert arlo(noisy(r2star, 60), TIMES_S).mean() == pytest.approx(r2star, rel=0.01)


def test_each_voxel_has_its_own_size():
    size = np.array([1.0, 0.02, 0.5, 3.0, 0.1])
    np.testing.assert_allclose(arlo(decay(R2STAR, size), TIMES_S), R2STAR, rtol=1e-3, atol=0.01)


def test_the_rate_is_never_negative():
    np.testing.assert_array_equal(arlo(decay(np.full((2, 3, 4), -30.0)), TIMES_S), 0)


def test_voxels_without_signal_have_no_rate():
    magnitude = decay(np.full((1, 1, 2), 20.0))
    magnitude[..., 0] = 0
    np.testing.assert_allclose(arlo(magnitude, TIMES_S)[0, 0], [0, 20], atol=0.01)
    np.testing.assert_array_equal(arlo(np.zeros_like(magnitude), TIMES_S), 0)


def test_the_rate_is_single_precision():
    assert arlo(decay(R2STAR).astype(float), TIMES_S).dtype == np.float32


def test_echo_times_that_were_rounded_to_10_us_are_equidistant():
    times_s = [0.00492, 0.00984, 0.01477, 0.01969]
    np.testing.assert_allclose(
        arlo(decay(R2STAR, 1.0, times_s), times_s), R2STAR, rtol=3e-3, atol=0.01
    )


@pytest.mark.parametrize("times_s", [(0.004, 0.009, 0.015), (0.004, 0.004, 0.009)])
def test_echoes_that_are_not_equidistant_are_refused(times_s):
    with pytest.raises(ValueError, match=r"equidistant echoes, and they are at 4, .* take the log"):
        arlo(decay(R2STAR, 1.0, times_s), times_s)


def test_two_echoes_are_refused():
    with pytest.raises(ValueError, match="at least three echoes"):
        arlo(decay(R2STAR)[:2], TIMES_S[:2])


def test_it_agrees_on_a_device(device):
    magnitude = noisy(30.0, 50)[:, :3, :5, :7]
    found = arlo(device(magnitude), TIMES_S)
    np.testing.assert_allclose(found.get(), arlo(magnitude, TIMES_S), rtol=1e-5)
