"""What a stream must be: one whole volume, in one form, whatever the messages it comes in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    Bucket,
    Image,
    ImageArray,
    ReconBuffer,
    ReconData,
    Text,
    Waveform,
)
from tests.raw_scan import (
    assembled,
    assert_same,
    changed,
    flag,
    header,
    lines_of,
    oversampled,
    repetitions,
    to_kspace,
)


def at(line):
    idx = line.head["idx"]
    counters = ("contrast", "kspace_encode_step_2", "kspace_encode_step_1")
    return tuple(int(idx[counter]) for counter in counters)


def test_missing_lines_are_counted_and_the_first_is_named(lines):
    with pytest.raises(QsmError, match=r"^3 of 48 lines are missing.* echo 1, partition 3, line 5"):
        assembled([x for x in lines if at(x) not in {(0, 3, 5), (1, 0, 2), (1, 3, 5)}])


def test_the_setting_has_missing_lines_filled_with_zeros_and_warned_of(lines, images):
    result = assembled([x for x in lines if at(x) != (0, 3, 5)], incomplete="warn")
    assert any(w.startswith("1 of 48 lines are missing") for w in result.report["warnings"])
    kspace = oversampled(images)
    kspace[0, :, 3, 5] = 0
    assert_same(result, assembled(lines_of(kspace)).data)


@pytest.mark.parametrize(
    ("limits", "first_line", "first_partition"),
    [({"lines": (0, 4, 2)}, 1, 0), ({"partitions": (0, 2, 1)}, 0, 1)],
    ids=["phase", "partition"],
)
def test_partial_fourier_that_the_header_announces_is_filled_with_zeros_and_warned_of(
    images, limits, first_line, first_partition
):
    kspace = oversampled(images)
    kspace[:, :, :first_partition] = 0
    kspace[:, :, :, :first_line] = 0
    sent = lines_of(kspace[:, :, first_partition:, first_line:])
    result = assembled(sent, header(**limits))
    assert any("partial Fourier" in warning for warning in result.report["warnings"])
    assert_same(result, assembled(lines_of(kspace)).data)


def test_counters_beyond_the_matrix_are_refused(lines):
    limits = header(lines=(0, 5, 2))
    with pytest.raises(QsmError, match="line 6 lies outside the 6 encoded; convert it again"):
        assembled(lines, limits, incomplete="warn")


@pytest.mark.parametrize("limits", [(0, 6, 3), (0, 5, 2), (1, 6, 3)])
def test_limits_beyond_the_matrix_are_refused_or_warned_of(lines, limits):
    with pytest.raises(QsmError, match=r"beyond the 6 of its matrix; correct .*incomplete=warn"):
        assembled(lines, header(lines=limits))
    seen = [
        line for line in lines if limits[2] != 2 or line.head["idx"]["kspace_encode_step_1"] < 5
    ]
    result = assembled(seen, header(lines=limits), incomplete="warn")
    assert any("beyond the 6 of its matrix" in text for text in result.report["warnings"])


def test_a_matrix_of_which_the_header_announces_next_to_nothing_is_refused(lines):
    with pytest.raises(QsmError, match="from 2 to 3 about 3, few of the 12 of its matrix"):
        assembled(lines, header(y=12, lines=(2, 3, 3)))


@pytest.mark.parametrize(
    ("counter", "said"), [("slice", "several slabs"), ("phase", "of phase"), ("set", "of set")]
)
def test_more_than_one_volume_at_a_time_is_refused(lines, counter, said):
    head = lines[-1].head.copy()
    head["idx"][counter] = 1
    with pytest.raises(QsmError, match=said):
        assembled([*lines[:-1], dataclasses.replace(lines[-1], head=head)])


def test_another_number_of_coils_in_the_scan_is_refused(lines):
    line = dataclasses.replace(lines[9], data=lines[9].data[:1])
    with pytest.raises(QsmError, match="1 coils, the first one 2"):
        assembled([*lines[:9], changed(line, active_channels=1), *lines[10:]])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1j * np.inf])
def test_samples_that_are_no_numbers_are_refused(lines, value):
    data = lines[9].data.copy()
    data[1, 3] = value
    with pytest.raises(QsmError, match="not finite"):
        assembled([*lines[:9], changed(lines[9], data), *lines[10:]])


@pytest.mark.parametrize("only_noise", [False, True])
def test_a_stream_without_a_scan_is_refused(lines, only_noise):
    noise = [changed(line, flags=flag(19)) for line in lines]
    with pytest.raises(QsmError, match="ended without a readout or image"):
        assembled(noise if only_noise else [])


def waveform():
    head = np.zeros((), WAVEFORM_HEADER)
    return Waveform(head[()], np.zeros((0, 0), np.uint32))


def test_texts_and_waveforms_are_passed_over(lines, images):
    assert_same(assembled([Text("hello"), *lines[:7], waveform(), *lines[7:]]), images)


def test_a_bucket_is_the_readouts_in_it(lines, images):
    buckets = [Bucket(lines[:20], [], [waveform()]), Bucket(lines[20:], [])]
    assert_same(assembled(buckets), images)


def buffer(images):
    """Gadgetron's buffer of a scan: (E0, E1, E2, coil, N, S, LOC), echoes along N."""
    kspace = to_kspace(images)
    data = kspace.transpose(4, 3, 2, 1, 0)[..., np.newaxis, np.newaxis].astype(np.complex64)
    headers = np.zeros((*data.shape[1:3], len(images), 1, 1), ACQUISITION_HEADER)
    for line in lines_of(kspace):
        echo, kz, ky = at(line)
        headers[ky, kz, echo, 0, 0] = line.head
    sampling = {"limits": [[0, n // 2, n - 1] for n in data.shape[:3]]}
    return ReconBuffer(np.asfortranarray(data), headers, sampling)


def test_buffered_data_is_the_readouts_in_it(images):
    assert_same(assembled([ReconData([(buffer(images), None)])]), images)


def test_a_buffer_has_placed_the_samples_whatever_its_headers_say(images):
    recon = buffer(images)
    recon.headers["center_sample"] -= 2
    recon.headers["number_of_samples"] -= 2
    recon.headers["discard_pre"] = 1
    assert_same(assembled([ReconData([(recon, None)])]), images)


def test_what_was_not_acquired_is_empty_in_a_buffer_and_counts_as_missing(images):
    recon = buffer(images)
    recon.headers[2, 1, 0] = np.zeros((), ACQUISITION_HEADER)
    with pytest.raises(QsmError, match=r"^1 of 48 lines.* echo 1, partition 1, line 2"):
        assembled([ReconData([(recon, None)])])


@pytest.mark.parametrize("axis", ["N", "S"])
def test_repetitions_may_lie_along_any_axis_of_a_buffer(images, axis):
    recon = buffer(images)
    factors = (1, 2, 3)
    data = np.concatenate([factor * recon.data for factor in factors], axis=5)
    headers = np.concatenate([recon.headers] * len(factors), axis=3)
    headers["idx"]["repetition"] = np.arange(len(factors))[:, np.newaxis]
    if axis == "N":
        data, headers = data.swapaxes(4, 5), headers.swapaxes(2, 3)
    sent = ReconData([(ReconBuffer(data, headers, recon.sampling), None)])
    for result, factor in zip(repetitions([sent]), factors, strict=True):
        assert_same(result, factor * images)


def test_buffers_of_another_encoding_space_are_set_aside(images):
    data = ReconData([(buffer(images), None), (buffer(7 * images), None)])
    result = assembled([data])
    assert_same(result, images)
    assert any("encoding space 1 were set aside" in text for text in result.report["warnings"])


def an_image():
    head = np.zeros((), IMAGE_HEADER)
    return Image(head[()], np.zeros((1, 4, 6, 8), np.complex64))


def an_array():
    headers = np.zeros((2, 1, 1), IMAGE_HEADER)
    return ImageArray(np.zeros((8, 6, 4, 1, 2, 1, 1), np.complex64), headers, [])


def test_a_scan_in_two_forms_is_refused(lines):
    for messages in ([*lines, an_image()], [*lines, an_array()], [an_image(), an_array()]):
        with pytest.raises(QsmError, match="send the scan once, in one form"):
            assembled(messages)


def test_two_image_arrays_of_one_repetition_are_refused():
    with pytest.raises(QsmError, match="are of echoes 1, 2, 3, 4"):
        assembled([an_array(), an_array()])


EMBEDDED = (
    "<parallelImaging><accelerationFactor><kspace_encoding_step_1>2</kspace_encoding_step_1>"
    "<kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>"
    "<calibrationMode>{}</calibrationMode></parallelImaging>"
)


def test_calibration_lines_belong_to_the_image_where_they_are_embedded_in_the_scan(lines, images):
    calibration = [changed(x, flags=flag(20)) if at(x)[2] == 3 else x for x in lines]
    assert_same(assembled(calibration, header(imaging=EMBEDDED.format("embedded"))), images)


def test_calibration_lines_of_a_scan_of_their_own_are_left_out(lines, images):
    calibration = [changed(x, 9 * x.data, flags=flag(20)) for x in lines]
    apart = header(imaging=EMBEDDED.format("separate"))
    assert_same(assembled(calibration + lines, apart), images)
