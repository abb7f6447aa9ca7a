from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.contrast import R2STAR
from tests.contrast.decay import decay, noisy

TIMES_S = 0.004 + 0.005 * np.arange(6)
RATES = np.array([[[0.0, 5.0, 20.0, 40.0, 80.0]]])

every_method = pytest.mark.parametrize("method", R2STAR.values(), ids=R2STAR)


@every_method
@pytest.mark.parametrize("size", [1.0, 3000.0, 1e-7])
@pytest.mark.parametrize("echoes", [3, 4, 6])
def test_a_perfect_decay_gives_its_rate_whatever_its_size(method, size, echoes):
    times_s = TIMES_S[:echoes]
    found = method(decay(RATES, times_s, size), times_s)
    np.testing.assert_allclose(found, RATES, rtol=1e-3, atol=0.01)


@every_method
def test_each_voxel_has_its_own_size(method):
    size = np.array([1.0, 0.02, 0.5, 3.0, 0.1])
    found = method(decay(RATES, TIMES_S, size), TIMES_S)
    np.testing.assert_allclose(found, RATES, rtol=1e-3, atol=0.01)


@every_method
@pytest.mark.parametrize("r2star", [15.0, 30.0, 60.0])
def test_noise_hardly_biases_the_rate(method, r2star):
    found = method(noisy(r2star, TIMES_S, 60), TIMES_S)
    assert found.mean() == pytest.approx(r2star, rel=0.01)


@every_method
def test_the_rate_is_never_negative(method):
    rising = decay(np.full((2, 3, 4), -30.0), TIMES_S)
    np.testing.assert_array_equal(method(rising, TIMES_S), 0)


@every_method
def test_voxels_without_signal_have_no_rate(method):
    magnitude = decay(np.full((1, 1, 2), 20.0), TIMES_S)
    magnitude[..., 0] = 0
    np.testing.assert_allclose(method(magnitude, TIMES_S)[0, 0], [0, 20], atol=0.01)
    np.testing.assert_allclose(method(np.zeros_like(magnitude), TIMES_S), 0, atol=0.01)


@every_method
def test_the_rate_is_single_precision(method):
    assert method(decay(RATES, TIMES_S).astype(float), TIMES_S).dtype == np.float32


@every_method
def test_it_agrees_on_a_device(method, device):
    magnitude = noisy(30.0, TIMES_S, 50, shape=(3, 5, 7))
    found = method(device(magnitude), TIMES_S)
    np.testing.assert_allclose(found.get(), method(magnitude, TIMES_S), rtol=1e-4)
