"""Readouts of every kind into coil images: a random object, sent in all the ways scanners do."""

from __future__ import annotations

import dataclasses

import ismrmrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.settings import KSpaceSettings
from tests.raw_scan import (
    COILS,
    ECHOES,
    READ,
    SLICE,
    assembled,
    assert_same,
    changed,
    flag,
    header,
    lines_of,
    oversampled,
    random_complex,
    readout,
    repetitions,
    to_kspace,
)


@pytest.fixture
def images():
    return random_complex(ECHOES, COILS, 4, 6, 8)


@pytest.fixture
def lines(images):
    return list(lines_of(oversampled(images)))


@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 6, 8), (4, 7, 8), (3, 5, 7), (1, 6, 8)])
def test_a_fully_sampled_scan_gives_its_images_back(shape):
    images = random_complex(ECHOES, COILS, *shape)
    result = assembled(lines_of(oversampled(images)), header(*shape))
    assert result.data.dtype == np.complex64
    assert_same(result, images)


def test_lines_may_come_in_any_order(lines, images):
    np.random.default_rng(1).shuffle(lines)
    assert_same(assembled(lines), images)


def test_the_volume_lies_as_the_first_line_of_the_image_says(lines):
    noise = changed(lines[0], flags=flag(19), position=(9, 9, 9), measurement_uid=5)
    result = assembled([noise] * 4 + lines)
    geometry = result.geometry
    assert (geometry.matrix, geometry.voxel_size) == ((4, 6, 8), (5, 3, 2))
    assert geometry.position == (1, 2, 3)
    assert (geometry.read_dir, geometry.slice_dir) == (tuple(READ), tuple(SLICE))
    scan = result.report["provenance"]["scan"]
    assert (scan["measurement_uid"], scan["first_time_stamp"]) == (77, 4200)


@pytest.mark.parametrize(
    "number",
    [
        ismrmrd.ACQ_IS_NAVIGATION_DATA,
        ismrmrd.ACQ_IS_PHASECORR_DATA,
        ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
        ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
        ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
        ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
        30,
        31,
    ],
)
def test_lines_that_are_no_part_of_the_image_are_left_out(lines, images, number):
    others = [changed(line, 100 * line.data, flags=flag(number)) for line in lines[:5]]
    assert_same(assembled(others + lines + others), images)


def test_whitening_makes_the_noise_of_the_coils_equal_and_independent(lines, images):
    mixing = np.array([[2, 0], [1 - 1j, 0.5]])
    noise = mixing @ random_complex(COILS, 4000) / np.sqrt(2)
    mixed = [changed(line, (mixing @ line.data).astype(np.complex64)) for line in lines]
    heard = [readout(part, flag(19)) for part in np.split(noise, 40, axis=1)]
    result = assembled(heard + mixed)
    # the inverse of a lower triangular mixing matrix with a positive diagonal is its whitening
    np.testing.assert_allclose(result.data, images, atol=0.1)
    assert result.report["provenance"]["kspace"]["noise_whitened"]
    assert result.report["warnings"] == []


def test_a_scan_without_noise_lines_is_taken_as_it_is_with_a_warning(lines):
    result = assembled(lines)
    assert not result.report["provenance"]["kspace"]["noise_whitened"]
    assert len(result.report["warnings"]) == 1
    assert "no noise readouts" in result.report["warnings"][0]


def test_a_dead_receiver_is_named(lines):
    noise = random_complex(COILS, 100) * [[1], [0]]
    with pytest.raises(QsmError, match=r"noise readouts cannot be used: receivers \[1\]"):
        assembled([readout(noise, flag(19)), *lines])


def test_lines_read_backwards_are_turned_and_warned_of(lines, images):
    backwards = [
        changed(line, line.data[:, ::-1], flags=flag(22), center_sample=7)
        if line.head["idx"]["contrast"] == 1
        else line
        for line in lines
    ]
    result = assembled(backwards)
    assert_same(result, images)
    assert [w for w in result.report["warnings"] if "bipolar" in w]


def test_samples_to_be_discarded_are_not_used(lines, images):
    wider = [
        changed(
            line, np.pad(line.data, [(0, 0), (3, 2)], constant_values=50),
            center_sample=11, discard_pre=3, discard_post=2,
        )
        for line in lines
    ]  # fmt: skip
    assert_same(assembled(wider), images)


def test_discarded_samples_leave_no_trace_where_the_readout_is_short(images):
    kspace = oversampled(images)
    kspace[..., -2:] = 0
    spoilt = []
    for line in lines_of(kspace):
        line.data[:, -2:] = 50
        spoilt.append(changed(line, discard_post=2))
    assert_same(assembled(spoilt), assembled(lines_of(kspace)).data)


def test_an_asymmetric_echo_is_filled_with_zeros_on_its_short_side(images):
    kspace = oversampled(images)
    kspace[..., :3] = 0
    short = [changed(line, line.data[:, 3:], center_sample=5) for line in lines_of(kspace)]
    expected = assembled(lines_of(kspace)).data
    assert_same(assembled(short), expected)


def test_oversampling_that_was_removed_before_is_not_removed_again(images):
    assert_same(assembled(lines_of(to_kspace(images))), images)


def test_lines_that_come_twice_are_averaged(lines, images):
    twice = [changed(line, factor * line.data) for factor in (0.5, 1.5) for line in lines]
    assert_same(assembled(twice), images)


def test_oversampling_along_phase_is_cut_off(images):
    result = assembled(lines_of(oversampled(images)), header(kept=4))
    assert_same(result, images[:, :, :, 1:5])
    assert (result.geometry.matrix, result.geometry.voxel_size) == ((4, 4, 8), (5, 3, 2))


def test_voxels_stay_as_acquired_where_the_console_would_interpolate(lines, images):
    result = assembled(lines, header(shown=16))
    assert_same(result, images)
    assert (result.geometry.matrix, result.geometry.voxel_size) == ((4, 6, 8), (5, 3, 2))


def test_echoes_that_are_set_to_be_reversed_are(lines, images):
    backwards = [
        changed(line, line.data[:, ::-1], center_sample=7)
        if line.head["idx"]["contrast"] == 1
        else line
        for line in lines
    ]
    assert_same(assembled(backwards, reversed_echoes="even", odd_even="leave"), images)


def repeated(images):
    """Lines of a scan with a repetition for each of images (repetition, echo, coil, z, y, x)."""
    for repetition, volume in enumerate(images):
        for line in lines_of(oversampled(volume)):
            head = line.head.copy()
            head["idx"]["repetition"] = repetition
            yield dataclasses.replace(line, head=head)


def test_each_repetition_is_a_volume_of_its_own():
    images = random_complex(3, ECHOES, COILS, 4, 6, 8)
    results = repetitions(repeated(images), header(repetition=3))
    assert [result.repetition for result in results] == [0, 1, 2]
    for result, volume in zip(results, images, strict=True):
        assert_same(result, volume)


def test_a_repetition_comes_as_soon_as_the_next_begins():
    images = random_complex(2, ECHOES, COILS, 4, 6, 8)
    taken = []

    def counted():
        for line in repeated(images):
            taken.append(line)
            yield line

    next(coil_images(counted(), header(repetition=2), KSpaceSettings(compression="none")))
    assert len(taken) == 49


def test_repetitions_that_alternate_are_refused():
    lines = list(repeated(random_complex(2, ECHOES, COILS, 4, 6, 8)))
    with pytest.raises(QsmError, match="lines of repetition 1 came after those of another"):
        repetitions([*lines, lines[0]], header(repetition=2))


def test_a_cut_short_repetition_does_not_lose_those_before():
    lines = list(repeated(random_complex(2, ECHOES, COILS, 4, 6, 8)))
    results = coil_images(lines[:-1], header(repetition=2), KSpaceSettings(compression="none"))
    assert next(results).repetition == 0
    with pytest.raises(QsmError, match="1 of 48 lines are missing"):
        next(results)


def sliced(images, order, gap_mm=6.0):
    """Lines of a 2D scan: slices in the order of acquisition, each at its place."""
    shape = images.shape
    flat = images.transpose(0, 2, 1, 3, 4).reshape(-1, shape[1], 1, *shape[3:])
    kspace = oversampled(flat).reshape(shape[0], shape[2], shape[1], shape[3], -1)
    for slot, z in enumerate(order):
        for ky, echo in np.ndindex(shape[3], shape[0]):
            place = {"slice": slot, "kspace_encode_step_1": ky, "contrast": echo}
            line = readout(kspace[echo, z, :, ky], **place)
            yield changed(line, position=np.array((1, 2, 3)) + gap_mm * z * SLICE)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (3, 2, 1, 0)])
def test_slices_make_a_volume_in_the_order_of_their_places(order):
    images = random_complex(ECHOES, COILS, 4, 6, 8)
    result = assembled(sliced(images, order), header(z=1, slice=4))
    assert_same(result, images)
    assert (result.geometry.matrix, result.geometry.voxel_size) == ((4, 6, 8), (6, 3, 2))
    np.testing.assert_allclose(result.geometry.position, np.array((1, 2, 3)) + 12 * SLICE)


def test_a_missing_slice_is_missed():
    lines = sliced(random_complex(ECHOES, COILS, 4, 6, 8), (0, 1, 2))
    with pytest.raises(QsmError, match="12 of 12 lines are missing"):
        assembled(lines, header(z=1, slice=4))


def test_virtual_coils_hold_the_signal_of_the_coils():
    coils = np.array([1, 2j, 3, -1, 0.5, 1j]).reshape(-1, 1, 1, 1)
    images = random_complex(ECHOES, 1, 4, 6, 8) * coils
    result = assembled(lines_of(oversampled(images)), compression="gcc", virtual_coils=1)
    rss = np.linalg.norm(images, axis=1)
    np.testing.assert_allclose(np.abs(result.data[:, 0]), rss, rtol=1e-4)
    assert result.report["provenance"]["kspace"]["virtual_coils"] == 1


NOT_IMAGING = (23, 24, 26, 27, 28, 29, 30, 31)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(2, 7), st.integers(2, 8)),
    seed=st.integers(0, 2**32 - 1),
    others=st.lists(st.sampled_from(NOT_IMAGING), max_size=8),
    twice=st.integers(0, 9),
)
def test_any_order_with_any_other_lines_gives_the_dense_transform(shape, seed, others, twice):
    rng = np.random.default_rng(seed)
    images = random_complex(ECHOES, COILS, *shape)
    lines = list(lines_of(oversampled(images)))
    lines += [lines[i] for i in rng.integers(len(lines), size=twice)]
    lines += [changed(lines[0], 100 * lines[0].data, flags=flag(number)) for number in others]
    assert_same(assembled([lines[i] for i in rng.permutation(len(lines))], header(*shape)), images)
