from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gadgetron_qsm.kspace.assemble import Assembly
from gadgetron_qsm.kspace.fourier import centred_ifft

NZ, NY, COILS = 3, 4, 2


def every_line(echo=0):
    """Place (echo, kz, ky) of each line, in the order of `flat`."""
    kz, ky = np.divmod(np.arange(NZ * NY), NY)
    return np.full(NZ * NY, echo), kz, ky


def flat(readouts):
    return readouts.reshape(NZ * NY, COILS, -1)


def reconstruct(assembly):
    return centred_ifft(assembly.finish(), axes=[2, 3])[0]


@pytest.mark.parametrize(
    ("matrix", "readout"), [(16, 8), (15, 7), (14, 7), (16, 7), (15, 8), (10, 10), (9, 9)]
)
def test_a_fully_sampled_object_comes_back_without_its_oversampling(
    image, read_out, matrix, readout
):
    object_ = image(COILS, NZ, NY, readout)
    assembly = Assembly(1, COILS, (NZ, NY, matrix), readout)
    lines = flat(read_out(object_, matrix, matrix, matrix // 2))
    assembly.add(lines, every_line(), center_sample=matrix // 2, reverse=False)
    np.testing.assert_allclose(reconstruct(assembly), object_, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "center"),
    [(16, 8), (16, 7), (16, 5), (13, 5), (12, 8)],
)
def test_k0_comes_from_the_centre_sample_and_what_was_not_read_is_zero(
    image, read_out, samples, center
):
    object_, matrix = image(COILS, NZ, NY, 16), 16
    assembly = Assembly(1, COILS, (NZ, NY, matrix), matrix)
    lines = flat(read_out(object_, matrix, samples, center))
    assembly.add(lines, every_line(), center_sample=center, reverse=False)
    full = read_out(object_, matrix, matrix, matrix // 2)
    k = np.arange(matrix) - matrix // 2
    full[..., (k < -center) | (k >= samples - center)] = 0
    expected = centred_ifft(full.transpose(2, 0, 1, 3), axes=[1, 2, 3])
    np.testing.assert_allclose(reconstruct(assembly), expected, atol=1e-5)


@pytest.mark.parametrize(("samples", "center"), [(16, 8), (15, 7), (16, 5), (15, 9)])
def test_a_line_read_backwards_is_the_same_line(image, read_out, samples, center):
    object_ = image(COILS, NZ, NY, 8)
    forth = flat(read_out(object_, 16, samples, center))
    assembly = Assembly(2, COILS, (NZ, NY, 16), 8)
    assembly.add(forth, every_line(0), center_sample=center, reverse=False)
    back = forth[..., ::-1]
    assembly.add(back, every_line(1), center_sample=samples - 1 - center, reverse=True)
    data = assembly.finish()
    np.testing.assert_allclose(data[1], data[0], atol=1e-6)


def test_receivers_are_whitened_before_they_are_placed(image, read_out):
    object_, whitening = image(COILS, NZ, NY, 8), np.array([[2, 0], [1j, 3]], np.complex64)
    assembly = Assembly(1, COILS, (NZ, NY, 16), 8, whitening=whitening)
    lines = flat(read_out(object_, 16, 16, 8))
    assembly.add(lines, every_line(), center_sample=8, reverse=False)
    expected = np.einsum("cd,dzyx->czyx", whitening, object_)
    np.testing.assert_allclose(reconstruct(assembly), expected, atol=1e-5)


def test_whitened_noise_keeps_its_variance_through_the_readout_transform():
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=np.sqrt(0.5), size=(2, 1200, 1, 64)).astype(np.float32)
    assembly = Assembly(1, 1, (30, 40, 64), 32)
    kz, ky = np.divmod(np.arange(1200), 40)
    place = np.zeros(1200, int), kz, ky
    assembly.add(noise[0] + 1j * noise[1], place, center_sample=32, reverse=False)
    assert assembly.finish().std() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "batch by batch"])
def test_lines_that_come_more_than_once_are_averaged(image, together):
    first, again, once = image(3, COILS, 8)
    zeros, ones = np.zeros(3, int), np.array([1, 1, 2])
    assembly = Assembly(1, COILS, (NZ, NY, 8), 8)
    batches = [slice(None)] if together else [slice(0, 1), slice(1, 3)]
    for batch in batches:
        place = zeros[batch], ones[batch], ones[batch]
        lines = np.stack([first, again, once])[batch]
        assembly.add(lines, place, center_sample=4, reverse=False)
    data = assembly.finish()
    mean = centred_ifft((first + again) / 2, axes=[1])
    np.testing.assert_allclose(data[0, :, 1, 1], mean, atol=1e-6)
    np.testing.assert_allclose(data[0, :, 2, 2], centred_ifft(once, axes=[1]), atol=1e-6)


def test_the_count_says_which_lines_came_how_often(image):
    assembly = Assembly(2, COILS, (NZ, NY, 8), 8)
    place = np.array([0, 1, 1]), np.array([2, 0, 0]), np.array([3, 1, 1])
    assembly.add(image(3, COILS, 8), place, center_sample=4, reverse=False)
    expected = np.zeros((2, NZ, NY))
    expected[0, 2, 3], expected[1, 0, 1] = 1, 2
    np.testing.assert_array_equal(assembly.count, expected)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((2, 0, 0), "echo 2 lies outside the 2 encoded"),
        ((0, -1, 0), "partition -1 lies outside the 3 encoded"),
        ((0, 0, 4), "line 4 lies outside the 4 encoded"),
    ],
)
def test_a_line_outside_the_matrix_is_refused_and_leaves_no_trace(image, place, said):
    assembly = Assembly(2, COILS, (NZ, NY, 8), 8)
    places = tuple(np.array([0, index]) for index in place)
    with pytest.raises(ValueError, match=said):
        assembly.add(image(2, COILS, 8), places, center_sample=4, reverse=False)
    assert not assembly.count.any()
    assert not assembly.data.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, complex(0, np.nan)])
def test_samples_that_are_not_finite_are_refused(image, bad):
    lines = image(2, COILS, 8)
    lines[1, 1, 3] = bad
    assembly = Assembly(1, COILS, (NZ, NY, 8), 8)
    with pytest.raises(ValueError, match="not finite"):
        assembly.add(lines, (np.zeros(2, int),) * 3, center_sample=4, reverse=False)
    assert not assembly.count.any()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(30)), cuts=st.sets(st.integers(1, 29), max_size=6))
def test_any_order_and_any_batches_of_lines_give_the_same_array(image, order, cuts):
    lines = image(30, COILS, 8)
    place = np.unravel_index(np.arange(30) % 24, (2, NZ, NY))  # 6 lines come twice
    whole, pieces = (Assembly(2, COILS, (NZ, NY, 8), 6) for _ in range(2))
    whole.add(lines, place, center_sample=3, reverse=False)
    for batch in np.split(np.array(order), sorted(cuts)):
        places = tuple(index[batch] for index in place)
        pieces.add(lines[batch], places, center_sample=3, reverse=False)
    np.testing.assert_array_equal(pieces.count, whole.count)
    np.testing.assert_allclose(pieces.finish(), whole.finish(), atol=1e-6)


def test_readouts_longer_than_the_encoded_ones_are_refused():
    assembly = Assembly(1, COILS, (NZ, NY, 8), 8)
    lines = np.zeros((NZ * NY, COILS, 16), np.complex64)
    with pytest.raises(ValueError, match="16 samples, more than the 8 encoded"):
        assembly.add(lines, every_line(), center_sample=8, reverse=False)
