from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft, crop_centre


def dense(n):
    """Matrix (image, k) of the unitary inverse transform, both counted from sample n//2."""
    index = np.arange(n) - n // 2
    return np.exp(2j * np.pi * np.outer(index, index) / n) / np.sqrt(n)


def noise(*shape):
    real, imag = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    return real + 1j * imag


@pytest.mark.parametrize("n", [1, 2, 5, 6, 8, 9])
def test_the_transform_is_the_dense_centred_unitary_one(n):
    kspace = noise(n, 3)
    image = centred_ifft(kspace, axes=[0])
    np.testing.assert_allclose(image, dense(n) @ kspace, atol=1e-5)


def test_the_transform_runs_along_the_given_axes_only():
    kspace = noise(2, 5, 4)
    expected = np.einsum("yk,xl,zkl->zyx", dense(5), dense(4), kspace)
    np.testing.assert_allclose(centred_ifft(kspace, axes=[1, 2]), expected, atol=1e-5)


def test_the_transform_stays_in_single_precision():
    assert centred_ifft(noise(4, 4), axes=[0, 1]).dtype == np.complex64


@pytest.mark.parametrize("shape", [(4, 6), (5, 7)])
def test_the_forward_transform_undoes_the_inverse(shape):
    kspace = noise(*shape)
    back = centred_fft(centred_ifft(kspace, axes=[0, 1]), axes=[0, 1])
    np.testing.assert_allclose(back, kspace, atol=1e-5)


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("size", [1, 4, 5, 8])
def test_cropping_makes_the_centre_sample_the_centre_sample(n, size):
    line = np.arange(n)[None] - n // 2
    cropped = crop_centre(line, size, axis=1)
    np.testing.assert_array_equal(cropped, np.arange(size)[None] - size // 2)
