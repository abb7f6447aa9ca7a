"""What a spooled file has of images: series by series, whatever their number and their sizes."""

from __future__ import annotations

import os

import h5py
import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.spool import scan as scans
from gadgetron_qsm.spool.scan import SpooledScan


def test_images_that_differ_under_one_number_are_in_groups_of_their_own(
    tmp_path, descriptor, make_image
):
    scan = SpooledScan(descriptor, "<header/>")
    for size in (2, 3, 2, 4):
        scan.add([make_image(np.zeros((1, 1, 1, size), np.int16), image_series_index=7)])
    scan.write()
    with h5py.File(tmp_path / "growing.h5") as read:
        found = {
            name: series["data"].shape for name, series in read["dataset"].items() if "_" in name
        }
    assert found == {
        "image_7": (2, 1, 1, 1, 2),
        "image_7_1": (1, 1, 1, 1, 3),
        "image_7_2": (1, 1, 1, 1, 4),
    }


def test_series_of_one_small_image_each_cost_little_and_are_not_without_end(
    tmp_path, descriptor, make_image
):
    scan = SpooledScan(descriptor, "<header/>")
    images = [
        make_image(np.zeros((1, 1, 2, 2), np.float32), image_series_index=number)
        for number in range(scans.MOST_SERIES + 1)
    ]
    with pytest.raises(QsmError, match=r"^the images are of more than 256 series"):
        scan.add(images)
    scan.add(images[:1])
    scan.write()
    assert os.fstat(descriptor).st_size < scans.MOST_SERIES * 70_000
    with RawFile(tmp_path / "growing.h5") as raw:
        assert len(list(raw.images())) == scans.MOST_SERIES + 1


def test_an_image_that_is_too_large_for_a_chunk_is_refused_in_words(descriptor, make_image):
    huge = np.broadcast_to(np.complex64(0), (64, 208, 320, 320))
    scan = SpooledScan(descriptor, "<header/>")
    with pytest.raises(QsmError, match=r"^an image has 10.9 GB; up to 4.3 can be spooled$"):
        scan.add([make_image(huge)])


def test_an_image_without_pixels_is_passed_over(tmp_path, descriptor, make_image):
    scan = SpooledScan(descriptor, "<header/>")
    images = [make_image(np.zeros((1, 1, height, 2), np.float32)) for height in (0, 3)]
    scan.add(images)
    scan.write()
    with RawFile(tmp_path / "growing.h5") as raw:
        (read,) = raw.images()
    assert read.data.shape == (1, 1, 3, 2)


def test_ismrmrd_adds_to_what_was_spooled(tmp_path, descriptor, make_acquisition):
    """The library finds nothing wrong with the file when it changes it."""
    readouts = [make_acquisition(2, 5) for _ in range(30)]
    scan = SpooledScan(descriptor, "<header/>")
    scan.add(readouts[:10])
    scan.write()
    with ismrmrd.Dataset(tmp_path / "growing.h5", "dataset") as dataset:
        for readout in readouts[10:]:
            head = ismrmrd.AcquisitionHeader.from_buffer_copy(readout.head)
            dataset.append_acquisition(ismrmrd.Acquisition(head, readout.data))
    with RawFile(tmp_path / "growing.h5") as raw:
        read = [readout for block in raw.blocks() for readout in block]
    for one, sent in zip(read, readouts, strict=True):
        np.testing.assert_array_equal(one.data, sent.data)
