from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gadgetron_qsm.coils.roemer import roemer

SHAPE = (6, 20, 25)


def normal(rng, shape):
    real, imag = rng.normal(scale=np.sqrt(0.5), size=(2, *shape))
    return (real + 1j * imag).astype(np.complex64)


@pytest.fixture
def sensitivities():
    return normal(np.random.default_rng(0), (5, *SHAPE))


def root_sum_of_squares(sensitivities):
    return np.sqrt((np.abs(sensitivities) ** 2).sum(axis=0))


def test_the_signal_comes_back_with_its_phase_times_the_root_sum_of_squares(sensitivities):
    signal = normal(np.random.default_rng(1), (3, 1, *SHAPE))
    expected = signal[:, 0] * root_sum_of_squares(sensitivities)
    combined = roemer(signal * sensitivities, sensitivities)
    np.testing.assert_allclose(combined, expected, rtol=1e-4, atol=1e-5)
    assert combined.dtype == np.complex64


def test_the_norm_of_the_sensitivities_makes_no_difference(sensitivities):
    images = normal(np.random.default_rng(1), (2, 5, *SHAPE))
    scale = np.random.default_rng(2).uniform(1e-3, 1e3, SHAPE).astype(np.float32)
    expected = roemer(images, sensitivities)
    np.testing.assert_allclose(roemer(images, sensitivities * scale), expected, rtol=2e-4)


def test_noise_has_the_variance_of_one_coil_everywhere(sensitivities):
    noise = normal(np.random.default_rng(1), (40, 5, *SHAPE))
    combined = roemer(noise, sensitivities)
    variance = (np.abs(combined) ** 2).mean(axis=0)
    assert variance.mean() == pytest.approx(1, rel=0.02)
    assert variance.std() == pytest.approx(1 / np.sqrt(40), rel=0.1)  # of the estimate alone


def test_the_signal_to_noise_ratio_is_that_of_the_theory_which_no_other_weights_reach(
    sensitivities,
):
    def ratio(weights):
        signal = np.abs((weights.conj() * sensitivities).sum(axis=0))
        return signal / root_sum_of_squares(weights)

    best = np.abs(roemer(sensitivities[None], sensitivities))[0]  # the noise is 1
    np.testing.assert_allclose(best, ratio(sensitivities), rtol=1e-4)
    others = sensitivities + 0.3 * normal(np.random.default_rng(1), sensitivities.shape)
    assert (ratio(others) < best * 1.0001).all()
    assert (ratio(np.ones_like(sensitivities)) < best * 1.0001).all()


def test_where_no_coil_is_sensitive_there_is_nothing(sensitivities):
    sensitivities[:, 2] = 0
    combined = roemer(np.ones((2, 5, *SHAPE), np.complex64), sensitivities)
    np.testing.assert_array_equal(combined[:, 2], 0)
    assert np.isfinite(combined).all()


def test_images_are_only_read_and_never_held_twice(sensitivities):
    images = np.broadcast_to(np.complex64(1), (4, 5, *SHAPE))
    tracemalloc.start()
    combined = roemer(images, sensitivities)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * combined.nbytes
