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


@pytest.mark.parametrize("transform", [centred_ifft, centred_fft])
@pytest.mark.parametrize("axes", [[1, 2], [2, 3], [1, 3], [-1], [0, 2], [3, 1, 2]])
def test_axes_in_any_order_are_transformed_one_by_one(transform, axes):
    x = noise(3, 5, 4, 6)
    expected = x
    for axis in axes:
        matrix = dense(x.shape[axis])
        matrix = matrix if transform is centred_ifft else matrix.conj()
        expected = np.moveaxis(np.tensordot(matrix, expected, (1, axis)), 0, axis)
    np.testing.assert_allclose(transform(x, axes=axes), expected, atol=1e-5)


@pytest.mark.parametrize("transform", [centred_ifft, centred_fft])
def test_the_result_takes_the_place_of_the_input_only_when_asked(transform):
    kept, whole = noise(2, 4, 5), np.zeros((2, 4, 5, 2), np.complex64)
    strided = whole[..., 0]
    strided[...] = kept
    expected = transform(kept, axes=[1, 2])
    np.testing.assert_array_equal(kept, noise(2, 4, 5))
    assert transform(strided, axes=[1, 2], overwrite=True) is strided
    np.testing.assert_allclose(strided, expected, atol=1e-6)
    np.testing.assert_array_equal(whole[..., 1], 0)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_real_image_has_a_complex_spectrum_and_stays(overwrite):
    image = noise(5, 4).real.copy()
    spectrum = centred_fft(image, axes=[0, 1], overwrite=overwrite)
    assert spectrum.dtype == np.complex64
    np.testing.assert_allclose(spectrum, dense(5).conj() @ image @ dense(4).conj().T, atol=1e-5)
    np.testing.assert_array_equal(image, noise(5, 4).real)


def test_double_precision_is_kept():
    kspace = noise(9, 8).astype(np.complex128)
    expected = dense(9) @ kspace @ dense(8).T
    np.testing.assert_allclose(centred_ifft(kspace, axes=[0, 1]), expected, atol=1e-13)


def test_phases_stay_exact_along_a_long_axis():
    n = 4095
    kspace = np.zeros(n, np.complex64)
    kspace[-1] = 1  # the highest frequency
    index = np.arange(n) - n // 2
    expected = np.exp(2j * np.pi * (index * (n // 2) % n) / n) / np.sqrt(n)
    np.testing.assert_allclose(centred_ifft(kspace, axes=[0]), expected, atol=1e-8)


def test_no_lines_give_no_lines():
    assert centred_ifft(np.zeros((0, 3, 8), np.complex64), axes=[2]).shape == (0, 3, 8)


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("size", [1, 4, 5, 8])
def test_cropping_makes_the_centre_sample_the_centre_sample(n, size):
    line = np.arange(n)[None] - n // 2
    cropped = crop_centre(line, size, axis=1)
    np.testing.assert_array_equal(cropped, np.arange(size)[None] - size // 2)
