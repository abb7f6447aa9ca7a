from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.prewhiten import noise_covariance, whitening_matrix

MIXING = np.array([[2, 0, 0], [1 + 1j, 1, 0], [0.5j, -0.3, 0.1]])
COVARIANCE = MIXING @ MIXING.conj().T


def white_noise(coils, samples):
    """Complex noise of unit variance per sample."""
    real, imag = np.random.default_rng(0).normal(scale=np.sqrt(0.5), size=(2, coils, samples))
    return real + 1j * imag


def test_the_covariance_of_correlated_noise_is_found():
    noise = (MIXING @ white_noise(3, 40000)).astype(np.complex64)
    np.testing.assert_allclose(noise_covariance(noise), COVARIANCE, atol=0.06)


def test_the_covariance_is_unbiased_in_few_samples():
    few = [noise_covariance(noise[None])[0, 0] for noise in white_noise(4000, 3)]
    assert np.mean(few).real == pytest.approx(1, abs=0.03)


def test_a_constant_offset_of_a_receiver_is_no_noise():
    noise = white_noise(2, 1000)
    moved = noise + np.array([[5], [3j]])
    np.testing.assert_allclose(noise_covariance(moved), noise_covariance(noise), atol=1e-12)


def test_whitening_turns_the_covariance_into_the_unit_matrix():
    whitening = whitening_matrix(COVARIANCE).astype(complex)
    np.testing.assert_allclose(whitening @ COVARIANCE @ whitening.conj().T, np.eye(3), atol=1e-5)


def test_whitened_noise_is_uncorrelated_and_of_unit_variance():
    noise = (MIXING @ white_noise(3, 20000)).astype(np.complex64)
    white = whitening_matrix(noise_covariance(noise[:, :10000])) @ noise[:, 10000:]
    np.testing.assert_allclose(white @ white.conj().T / 10000, np.eye(3), atol=0.05)


def test_whitening_stays_in_single_precision():
    assert whitening_matrix(COVARIANCE).dtype == np.complex64


def test_receivers_without_noise_are_named():
    noise = white_noise(4, 100)
    noise[[1, 3]] = 0
    with pytest.raises(ValueError, match=r"receivers \[1, 3\] have no noise"):
        whitening_matrix(noise_covariance(noise))


def test_receivers_that_repeat_each_other_are_refused():
    with pytest.raises(ValueError, match="positive definite"):
        whitening_matrix(np.array([[1, 1], [1, 1]], complex))


def test_too_few_samples_for_the_coils_are_refused():
    with pytest.raises(ValueError, match="4 noise samples are too few for 4 coils"):
        noise_covariance(white_noise(4, 4))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_noise_that_is_not_finite_is_refused(bad):
    noise = white_noise(2, 100)
    noise[1, 7] = bad
    with pytest.raises(ValueError, match="not finite"):
        noise_covariance(noise)
