"""Slices of a 2D scan to a volume."""

from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from tests.raw_scan import (
    COILS,
    ECHOES,
    SLICE,
    assembled,
    assert_same,
    changed,
    header,
    oversampled,
    random_complex,
    readout,
)


@pytest.fixture
def images():
    return random_complex(ECHOES, COILS, 4, 6, 8)


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
def test_slices_make_a_volume_in_the_order_of_their_places(images, order):
    result = assembled(sliced(images, order), header(z=1, slice=4))
    assert_same(result, images)
    assert (result.geometry.matrix, result.geometry.voxel_size) == ((4, 6, 8), (6, 3, 2))
    np.testing.assert_allclose(result.geometry.position, np.array((1, 2, 3)) + 12 * SLICE)


def test_a_missing_slice_is_missed(images):
    with pytest.raises(QsmError, match="12 of 12 lines are missing"):
        assembled(sliced(images, (0, 1, 2)), header(z=1, slice=4))


def test_a_missing_slice_is_missed_whatever_the_settings(images):
    for order in ((0, 1, 2), (1, 2, 3)):
        with pytest.raises(QsmError, match="1 of 4 slices are missing"):
            assembled(sliced(images, order), header(z=1, slice=4), incomplete="warn")


@pytest.mark.parametrize("count", [2, 4])
def test_slices_without_places_are_taken_in_their_order_with_a_warning(images, count):
    result = assembled(sliced(images, range(count), gap_mm=0), header(z=1, slice=count))
    assert_same(result, images[:, :, :count])
    assert result.geometry.voxel_size == (5, 3, 2)
    assert [text for text in result.report["warnings"] if "in the order of their counter" in text]


def test_one_slice_is_a_volume(images):
    result = assembled(sliced(images[:, :, :1], [0]), header(z=1))
    assert_same(result, images[:, :, :1])
    assert result.geometry.voxel_size == (5, 3, 2)
    assert not [text for text in result.report["warnings"] if "slices" in text]


def test_two_slices_in_one_place_are_refused(images):
    lines = list(sliced(images, range(4)))
    lines = [
        changed(x, position=lines[0].head["position"]) if x.head["idx"]["slice"] == 1 else x
        for x in lines
    ]
    with pytest.raises(QsmError, match="two slices are in one place"):
        assembled(lines, header(z=1, slice=4))


@pytest.mark.parametrize("announced", [1, 3])
def test_more_slices_than_the_header_announces_are_refused(images, announced):
    with pytest.raises(QsmError, match=f"of slice {announced + 1}, but .* announces {announced};"):
        assembled(sliced(images, range(4)), header(z=1, slice=announced))
