"""Readouts of every kind into coil images: a random object, sent in all the ways scanners do."""

from __future__ import annotations

import ismrmrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadgetron_qsm.errors import QsmError
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
    to_kspace,
)


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


def test_a_dead_receiver_is_named_and_left_out(lines, images):
    noise = random_complex(COILS, 4000) / np.sqrt(2) * [[1], [0]]
    result = assembled([readout(noise, flag(19)), *lines])
    assert any("receivers [1] have no noise" in text for text in result.report["warnings"])
    np.testing.assert_allclose(result.data[:, 0], images[:, 0], atol=0.1)
    assert not result.data[:, 1].any()


def test_a_noise_scan_without_noise_is_refused(lines):
    with pytest.raises(QsmError, match="noise readouts cannot be used"):
        assembled([readout(np.zeros((COILS, 100)), flag(19)), *lines])


def test_echoes_that_look_mirrored_are_told():
    backwards = [
        changed(line, line.data[:, ::-1], center_sample=7)
        if line.head["idx"]["contrast"] == 1
        else line
        for line in lines_of(oversampled(sided()))
    ]
    told = [
        any("echoes 2 look mirrored" in text for text in assembled(sent).report["warnings"])
        for sent in (backwards, lines_of(oversampled(sided())))
    ]
    assert told == [True, False]


def sided():
    """Images of two coils on opposite sides along x."""
    side = np.linspace(0, 1, 8)
    return random_complex(ECHOES, 1, 4, 6, 8) * np.stack([side, 1 - side])[:, None, None, :]


def test_lines_read_backwards_are_turned_and_warned_of(lines, images):
    backwards = [
        changed(line, line.data[:, ::-1], flags=flag(22), center_sample=7)
        if line.head["idx"]["contrast"] == 1
        else line
        for line in lines
    ]
    result = assembled(backwards)
    assert_same(result, images)
    assert [w for w in result.report["warnings"] if "no echo lies between two" in w]


def test_an_echo_of_lines_read_both_ways_is_warned_of_and_not_corrected(lines, images):
    mixed = [
        changed(line, line.data[:, ::-1], flags=flag(22), center_sample=7) if number % 3 else line
        for number, line in enumerate(lines)
    ]
    result = assembled(mixed)
    assert_same(result, images)
    assert [w for w in result.report["warnings"] if "read forwards and backwards" in w]
    assert "odd_even_phase" not in result.report["provenance"]


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


def test_one_short_line_makes_an_asymmetric_echo(lines):
    short = changed(lines[0], lines[0].data[:, 6:], center_sample=2)
    for sent in ([short, *lines[1:]], [*lines[1:], short]):
        warnings = assembled(sent).report["warnings"]
        assert [w for w in warnings if "asymmetric echoes" in w]


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


@pytest.mark.parametrize(("setting", "echo"), [("odd", 0), ("even", 1)])
def test_echoes_that_are_set_to_be_reversed_are(lines, images, setting, echo):
    backwards = [
        changed(line, line.data[:, ::-1], center_sample=7)
        if line.head["idx"]["contrast"] == echo
        else line
        for line in lines
    ]
    result = assembled(backwards, reversed_echoes=setting, odd_even="leave")
    assert result.report["provenance"]["kspace"]["reversed_echoes"] == setting
    assert_same(result, images)
    assert [w for w in result.report["warnings"] if "odd-even phase was left in" in w]


def test_lines_beyond_those_that_the_header_announces_are_used(lines, images):
    result = assembled(lines, header(lines=(0, 3, 3)))
    assert_same(result, images)
    assert not [w for w in result.report["warnings"] if "partial Fourier" in w]


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
