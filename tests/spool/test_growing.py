"""Files that grow are HDF5 to the library that everybody reads them with, at every moment."""

from __future__ import annotations

import os
import struct

import h5py
import numpy as np
import pytest

from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool import growing
from gadgetron_qsm.spool import scan as scans
from gadgetron_qsm.spool.growing import PAGE, DataSet, GrowingFile
from gadgetron_qsm.spool.parts import CHILDREN, UNDEFINED
from gadgetron_qsm.spool.recovery import recover
from gadgetron_qsm.spool.scan import SpooledScan
from tests.spool.conftest import WRITING, name

NUMBER = 8  # bytes that the kernel writes as one; what is longer may be written in part


@pytest.fixture
def writes(monkeypatch):
    """Every write so far, as (offset, bytes)."""
    seen = []
    write = os.pwritev

    def recorded(descriptor, buffers, offset):
        seen.append((offset, b"".join(buffers)))
        return write(descriptor, buffers, offset)

    monkeypatch.setattr(growing.os, "pwritev", recorded)
    return seen


def states(writes):
    """How many writes were done, and the file then; after a part of a write, too."""
    content = bytearray()
    for number, (offset, data) in enumerate(writes):
        content.extend(bytes(max(0, offset + len(data) - len(content))))
        if len(data) > NUMBER:
            content[offset : offset + len(data) // 2] = data[: len(data) // 2]
            yield number, bytes(content)
        content[offset : offset + len(data)] = data
        yield number + 1, bytes(content)


def test_all_levels_of_the_index_lead_to_all_rows(tmp_path, descriptor):
    rows = np.arange(CHILDREN**2 + 2 * CHILDREN + 1, dtype="<u4")
    file = GrowingFile(descriptor)
    data = DataSet(file, rows.dtype)
    file.publish({"rows": data})
    file.write()
    for part in np.array_split(rows, 7):
        data.extend(part.tobytes())
        file.write()
    with h5py.File(tmp_path / "growing.h5") as read:
        np.testing.assert_array_equal(read["rows"], rows)
        assert read["rows"].id.get_num_chunks() == len(rows)


def test_the_leaves_of_the_index_are_a_chain(tmp_path, descriptor):
    file = GrowingFile(descriptor)
    data = DataSet(file, np.dtype("<u4"))
    data.extend(bytes(4 * (2 * CHILDREN + 1)))
    file.publish({"rows": data})
    file.write()
    content = (tmp_path / "growing.h5").read_bytes()
    leaf, before = content.index(b"TREE\x01\x00"), UNDEFINED
    lengths = []
    while leaf != UNDEFINED:
        entries, left, right = struct.unpack_from("<HQQ", content, leaf + 6)
        assert left == before
        lengths.append(entries)
        leaf, before = right, leaf
    assert lengths == [CHILDREN, CHILDREN, 1]


@pytest.mark.parametrize("rows", [1, 5, 32])
def test_rows_are_added_behind_those_of_a_chunk_that_is_not_full(tmp_path, descriptor, rows):
    file = GrowingFile(descriptor)
    data = DataSet(file, np.dtype("<u4"), (2,), chunk_rows=rows)
    file.publish({"a": {"b": data}})
    numbers = np.arange(66, dtype="<u4").reshape(-1, 2)
    for first, stop in ((0, 1), (1, 4), (4, 5), (5, 33)):
        data.extend(numbers[first:stop].tobytes())
        file.write()
        with h5py.File(tmp_path / "growing.h5") as read:
            np.testing.assert_array_equal(read["a/b"], numbers[:stop])


def test_numbers_that_change_lie_in_one_page_each(descriptor, writes, make_acquisition, make_image):
    """The kernel writes to a page at once, or not at all."""
    scan = SpooledScan(descriptor, "<header/>")
    scan.add([make_acquisition(), make_image(np.zeros((1, 1, 2, 3), np.float32), "<meta/>")] * 3)
    scan.write()
    numbers = [(offset, len(data)) for offset, data in writes if len(data) <= NUMBER]
    assert all(offset // PAGE == (offset + size - 1) // PAGE for offset, size in numbers)
    file = GrowingFile(descriptor)
    headers = [DataSet(file, np.dtype("u1")) for _ in range(2)]
    assert [header.address % PAGE for header in headers] == [0, 0]


def test_an_index_that_is_full_takes_no_more(descriptor, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.spool.index.CHILDREN", 2)
    file = GrowingFile(descriptor)
    data = DataSet(file, np.dtype("u1"))
    data.extend(bytes(8))
    with pytest.raises(OverflowError, match="no room"):
        data.extend(bytes(1))


@pytest.mark.parametrize("most", [1024, 3])
def test_writes_that_the_kernel_cuts_short_are_gone_on_with(tmp_path, monkeypatch, most):
    write = os.pwritev
    monkeypatch.setattr(growing, "MOST_BUFFERS", most)
    monkeypatch.setattr(
        growing.os,
        "pwritev",
        lambda number, buffers, offset: write(number, [b"".join(buffers)[:1000]], offset),
    )
    descriptor = os.open(tmp_path / "growing.h5", os.O_RDWR | os.O_CREAT)
    rows = np.arange(1000, dtype="<u4")
    file = GrowingFile(descriptor)
    data = DataSet(file, rows.dtype, chunk_rows=300)
    data.extend(rows.tobytes())
    file.publish({"rows": data})
    file.write()
    os.close(descriptor)
    with h5py.File(tmp_path / "growing.h5") as read:
        np.testing.assert_array_equal(read["rows"], rows)


def test_a_scan_is_readable_after_every_write_and_never_loses_a_block(
    tmp_path, descriptor, writes, monkeypatch, make_acquisition, make_waveform, make_image
):
    """What a kill leaves is one of these states."""
    monkeypatch.setattr(scans, "HEADS", 4)
    readouts = [make_acquisition(1 + n % 3, 1 + n, n % 3) for n in range(25)]
    pixels = [np.full((1, 1, 2, 3 + n % 2), n, np.float32) for n in range(5)]
    images = [make_image(data, f"<{n}/>", image_series_index=1) for n, data in enumerate(pixels)]
    scan = SpooledScan(descriptor, "<header/>")
    scan.write()
    whole = [(len(writes), 0)]
    for block in range(5):
        scan.add([*readouts[5 * block : 5 * block + 5], make_waveform(), images[block]])
        scan.write()
        whole.append((len(writes), block + 1))
    file = tmp_path / "killed.h5"
    for done, state in states(writes):
        if done >= whole[0][0]:
            file.write_bytes(state)
            blocks = max(block for first, block in whole if first <= done)
            check(file, readouts, images, blocks)


def test_a_file_that_was_killed_as_it_began_is_removed(tmp_path, descriptor, writes, caplog):
    SpooledScan(descriptor, "<header/>").write()
    (tmp_path / "growing.h5").unlink()
    for _, state in states(writes):
        name(tmp_path, 1, WRITING).write_bytes(state)
        assert recover(SpoolSettings(folder=tmp_path)) == []
        assert list(tmp_path.iterdir()) == []
    assert not caplog.records


def check(file, readouts, images, blocks):
    """Whatever is in a file is what was sent, and no block that was written is missing."""
    with RawFile(file) as raw:
        assert raw.header_text == "<header/>"
        read = [readout for block in raw.blocks() for readout in block]
        assert 5 * blocks <= len(read) <= 5 * blocks + 5
        for one, sent in zip(read, readouts, strict=False):
            assert (one.head.tobytes(), one.data.tobytes()) == (
                sent.head.tobytes(),
                sent.data.tobytes(),
            )
        assert blocks <= len(list(raw.waveforms())) <= blocks + 1
        seen = list(raw.images())
        assert blocks <= len(seen) <= blocks + 1
        for image in seen:
            np.testing.assert_array_equal(image.data, images[int(image.meta[1:-2])].data)
