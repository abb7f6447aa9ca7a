"""Readouts as they were acquired, against those of a plain scan of the same head."""

from __future__ import annotations

import math

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.phantom import Readout

SILENT = {
    "voxel_size_mm": (10.0, 10.0, 8.0),
    "matrix": (10, 12, 14),
    "coils": 2,
    "echo_times_s": (0.004, 0.008, 0.012),
    "snr": math.inf,
}
N = 28  # samples of a whole readout


@pytest.fixture(scope="module")
def plain(scanned):
    return scanned(**SILENT)


@pytest.fixture(scope="module")
def lines(read_out):
    """Read out; return the samples (echo, coil, kz, ky, sample) and the heads of the echoes."""

    def read(**readout):
        rows = read_out(**SILENT, readout=Readout(**readout))
        shape = (10, 12, 3, 2, -1)
        return np.moveaxis(np.reshape(rows.samples, shape), (2, 3), (0, 1)), rows.heads[:3]

    return read


def images(kspace):
    axes = (1, 2, 3)
    return np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(kspace, axes=axes), axes=axes), axes=axes)


def phase_beside(kspace, plain_kspace):
    """Phase (z, y, x) over that of the plain scan, and where there is signal."""
    a, b = images(kspace)[..., 7:21], images(plain_kspace)[..., 7:21]
    size = np.abs(b).sum(axis=0)
    return np.angle((a * b.conj()).sum(axis=0)), size > 0.5 * np.percentile(size, 95)


def test_backward_readouts_hold_the_samples_in_reverse(plain, lines):
    got, heads = lines(bipolar=True)
    assert (heads["center_sample"] == N // 2).all()
    reverse = heads["flags"] & np.uint64(1 << ismrmrd.ACQ_IS_REVERSE - 1) != 0
    assert reverse.tolist() == [False, True, False]
    np.testing.assert_array_equal(got[[0, 2]], plain.kspace[[0, 2]])
    # sample j is k = 14 - j, which the plain readout has at 28 - j; it has none for j = 0
    np.testing.assert_allclose(got[1, ..., 1:], plain.kspace[1, ..., :0:-1], rtol=1e-4, atol=1e-3)


def test_backward_readouts_can_go_unflagged(lines):
    got, heads = lines(bipolar=True, reverse_flag=False)
    flagged, _ = lines(bipolar=True)
    np.testing.assert_array_equal(got, flagged)
    assert not (heads["flags"] & np.uint64(1 << ismrmrd.ACQ_IS_REVERSE - 1)).any()


def test_a_delay_of_a_sample_moves_the_echo_a_sample_later_in_every_readout(plain, lines):
    got, _ = lines(bipolar=True, delay_us=8.0)
    expected = plain.kspace
    close = {"rtol": 1e-3, "atol": 1e-3 * np.abs(expected).max()}
    np.testing.assert_allclose(got[0, ..., 1:], expected[0, ..., :-1], **close)
    np.testing.assert_allclose(got[1, ..., 2:], expected[1, ..., :1:-1], **close)


def test_eddy_currents_turn_forward_and_backward_echoes_to_opposite_sides(plain, lines):
    got, _ = lines(bipolar=True, odd_even_rad=0.8)
    for echo, sign in ((0, 1), (2, 1)):
        np.testing.assert_allclose(
            got[echo], plain.kspace[echo] * np.exp(0.4j * sign), rtol=1e-3, atol=1e-2
        )
    straight, _ = lines(bipolar=True)
    np.testing.assert_allclose(got[1], straight[1] * np.exp(-0.4j), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_linear_part_of_eddy_currents_is_that_over_the_field_of_view(plain, lines, axis):
    radians = [0.0, 0.0, 0.0]
    radians[axis] = 1.2
    got, _ = lines(bipolar=True, odd_even_linear_rad=tuple(radians))
    phase, signal = phase_beside(got[0], plain.kspace[0])
    place = (np.arange(phase.shape[axis]) - phase.shape[axis] // 2) / phase.shape[axis]
    expected = 0.6 * np.expand_dims(place, [other for other in range(3) if other != axis])
    assert np.median(np.abs(phase - expected)[signal]) < 0.01


def test_nothing_is_odd_or_even_without_bipolar_readouts(plain, lines):
    got, _ = lines(odd_even_rad=0.8, odd_even_linear_rad=(1.0, 1.0, 1.0))
    np.testing.assert_array_equal(got, plain.kspace)


@pytest.mark.parametrize("bipolar", [False, True])
def test_an_asymmetric_echo_lacks_the_samples_before_k_0(plain, lines, bipolar):
    got, heads = lines(echo_fraction=0.75, bipolar=bipolar)
    whole, _ = lines(bipolar=bipolar)
    assert (heads["number_of_samples"] == 21).all()
    assert heads["center_sample"].tolist() == [7, 14 if bipolar else 7, 7]
    np.testing.assert_array_equal(got[0], plain.kspace[0, ..., 7:])
    np.testing.assert_array_equal(got[1], whole[1, ..., :21] if bipolar else whole[1, ..., 7:])


@pytest.mark.parametrize("bipolar", [False, True])
def test_samples_to_discard_surround_the_others(lines, bipolar):
    got, heads = lines(discard=(4, 3), bipolar=bipolar)
    whole, whole_heads = lines(bipolar=bipolar)
    assert (heads["number_of_samples"] == 4 + N + 3).all()
    assert set(zip(heads["discard_pre"], heads["discard_post"], strict=True)) == {(4, 3)}
    np.testing.assert_array_equal(heads["center_sample"], whole_heads["center_sample"] + 4)
    np.testing.assert_array_equal(got[..., 4:-3], whole)
    assert np.abs(got[..., :4]).mean() > np.abs(whole).max()
