from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.fourier import centred_ifft
from gadgetron_qsm.kspace.readout import transform_readouts

COILS = 2


@pytest.fixture
def lines(read_out):
    """Return a function: image (coil, line, x) to readouts [(coil, sample)], in k-space."""

    def lines(object_, matrix, samples, center):
        return list(read_out(object_[:, None], matrix, samples, center)[0])

    return lines


def to_lines(object_, axis=1):
    """Image (coil, line, x) to lines (line, coil, x), in k-space along them."""
    n = object_.shape[axis]
    k = np.arange(n) - n // 2
    dense = np.exp(-2j * np.pi * np.outer(k, k) / n) / np.sqrt(n)
    return np.einsum("kl,clx->kcx", dense, object_)


@pytest.mark.parametrize(
    ("matrix", "kept"), [(16, 8), (15, 7), (14, 7), (16, 7), (15, 8), (10, 10), (9, 9), (12, 1)]
)
def test_an_object_comes_back_without_its_oversampling(image, lines, matrix, kept):
    object_ = image(COILS, 3, kept)
    read = lines(object_, matrix, matrix, matrix // 2)
    got = transform_readouts(read, matrix, kept, center_sample=matrix // 2)
    assert got.dtype == np.complex64
    np.testing.assert_allclose(got, to_lines(object_), atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "center"), [(16, 8), (16, 7), (16, 5), (13, 5), (12, 8), (9, 0), (9, 8)]
)
def test_k0_comes_from_the_centre_sample_and_what_was_not_read_is_zero(
    image, lines, samples, center
):
    object_, matrix = image(COILS, 3, 16), 16
    full = np.array(lines(object_, matrix, matrix, matrix // 2))
    k = np.arange(matrix) - matrix // 2
    full[..., (k < -center) | (k >= samples - center)] = 0
    got = transform_readouts(
        lines(object_, matrix, samples, center), matrix, matrix, center_sample=center
    )
    np.testing.assert_allclose(got, centred_ifft(full, axes=[2]), atol=1e-5)


@pytest.mark.parametrize(("samples", "center"), [(16, 8), (15, 7), (16, 5), (15, 9)])
@pytest.mark.parametrize("discard", [(0, 0), (2, 1)])
def test_lines_read_backwards_are_the_same_lines(image, lines, samples, center, discard):
    forth = lines(image(COILS, 3, 8), 16, samples, center)
    back = [line[:, ::-1] for line in forth]
    expected = transform_readouts(forth, 16, 8, center_sample=center, discard=discard)
    got = transform_readouts(
        back, 16, 8, center_sample=samples - 1 - center, discard=discard[::-1], reverse=True
    )
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_discarded_samples_count_as_not_read(image, lines):
    read = lines(image(COILS, 3, 8), 16, 16, 8)
    spoilt = [np.where((np.arange(16) < 3) | (np.arange(16) >= 14), 50, line) for line in read]
    got = transform_readouts(spoilt, 16, 8, center_sample=8, discard=(3, 2))
    expected = transform_readouts([line[:, 3:14] for line in read], 16, 8, center_sample=5)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_white_noise_keeps_its_variance():
    noise = np.random.default_rng(0).normal(scale=np.sqrt(0.5), size=(2, 1200, 1, 64))
    lines = list((noise[0] + 1j * noise[1]).astype(np.complex64))
    assert transform_readouts(lines, 64, 32, center_sample=32).std() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("bad", [np.nan, np.inf, complex(0, np.nan)])
def test_samples_that_are_not_finite_are_refused(image, bad):
    lines = image(2, COILS, 8)
    lines[1, 1, 3] = bad
    with pytest.raises(ValueError, match="not finite"):
        transform_readouts(list(lines), 8, 4, center_sample=4)


def test_values_whose_squares_overflow_are_still_numbers(image):
    got = transform_readouts(list(1e25 * image(2, COILS, 8)), 8, 4, center_sample=4)
    assert np.isfinite(got).all()


def test_readouts_longer_than_the_encoded_ones_are_refused(image):
    with pytest.raises(ValueError, match="16 samples, more than the 8 encoded"):
        transform_readouts(list(image(2, COILS, 16)), 8, 4, center_sample=8)


@pytest.mark.parametrize("center", [-1, 8, 200])
def test_a_centre_that_is_no_sample_is_refused(image, center):
    with pytest.raises(ValueError, match=f"centre, sample {center}, is none of its samples"):
        transform_readouts(list(image(2, COILS, 8)), 16, 8, center_sample=center)
