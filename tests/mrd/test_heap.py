"""What is read past the HDF5 library is what the library reads, of every file; or it is refused."""

from __future__ import annotations

import os
from contextlib import suppress

import h5py
import ismrmrd
import numpy as np
import pytest
from ismrmrd.hdf5 import acquisition_dtype, waveform_dtype

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd import files
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.heap import LIST, SHARED, Table

LAYOUTS = {
    "one by one": {"chunks": (1,), "maxshape": (None,)},
    "in chunks": {"chunks": (7,), "maxshape": (None,)},
    "whole": {},
    "of the latest version": {"chunks": (3,), "maxshape": (None,), "libver": "latest"},
    "in one chunk": {"chunks": (40,), "libver": "latest"},
    "behind a block of the user's": {"chunks": (7,), "userblock_size": 512},
    "with shorter addresses": {"chunks": (7,), "sizes": (4, 4)},
    "compressed": {"chunks": (7,), "compression": "gzip", "shuffle": True},
    "compact": {"compact": True},
}
PLAIN = {"one by one", "in chunks", "whole", "of the latest version", "in one chunk"}


def rows_of(dtype, items):
    """Rows of a table, of readouts or waveforms."""
    rows = np.empty(len(items), dtype)
    for number, item in enumerate(items):
        rows["head"][number] = np.frombuffer(item.head.tobytes(), dtype["head"])
        rows["data"][number] = (
            np.ascontiguousarray(item.data).view(dtype["data"].metadata["vlen"]).ravel()
        )
        if "traj" in dtype.names:
            path = np.empty(0, np.float32) if item.trajectory is None else item.trajectory
            rows["traj"][number] = path.ravel()
    return rows


def dataset_in(group, name, rows, **layout):
    """Write rows, every other one first, so that they do not lie in order."""
    if layout.pop("compact", False):
        plan, space = h5py.h5p.create(h5py.h5p.DATASET_CREATE), h5py.h5s.create_simple(rows.shape)
        plan.set_layout(h5py.h5d.COMPACT)
        kind = h5py.h5t.py_create(rows.dtype, logical=True)
        data = h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, plan))
    else:
        data = group.create_dataset(name, rows.shape, rows.dtype, **layout)
    for start in (1, 0):
        data[start::2] = rows[start::2]


def create(path, sizes=(8, 8), libver=None, userblock_size=0):
    plan = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    plan.set_sizes(*sizes)
    plan.set_userblock(userblock_size)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    if libver:
        access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    return h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, plan, access))


@pytest.fixture
def write(tmp_path, make_acquisition, make_waveform):
    """A function that writes readouts of all sizes, and waveforms, with a layout."""
    shapes = [(3, 7, 0), (2, 5, 3), (1, 1, 1), (4, 0, 0), (32, 300, 2), (8, 192, 0)]
    readouts = [make_acquisition(*shapes[n % len(shapes)]) for n in range(40)]
    waveforms = [make_waveform(1 + n % 3, n) for n in range(60)]

    def write(libver=None, sizes=(8, 8), userblock_size=0, **layout):
        path = tmp_path / "scan.h5"
        with create(path, sizes, libver, userblock_size) as file:
            group = file.create_group("dataset")
            group["xml"] = np.array([b"<header/>"], object)
            dataset_in(group, "data", rows_of(acquisition_dtype, readouts), **layout)
            dataset_in(group, "waveforms", rows_of(waveform_dtype, waveforms), **layout)
        return path

    write.readouts, write.waveforms = readouts, waveforms
    return write


def content(path):
    """All bytes of what a file holds."""
    with RawFile(path) as raw:
        readouts = [item for block in raw.blocks(16) for item in block]
        items = [*readouts, *raw.waveforms(16)]
    paths = [b"" if r.trajectory is None else r.trajectory.tobytes() for r in readouts]
    return [item.head.tobytes() + item.data.tobytes() for item in items], paths


@pytest.fixture
def reads(monkeypatch):
    """The number of blocks that were read past the library."""
    found = []
    read = Table.read

    def counted(*args):
        rows = read(*args)
        found.append(rows is not None)
        return rows

    monkeypatch.setattr(Table, "read", counted)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_as_it_was_written(write, reads, layout):
    readouts, paths = content(write(**LAYOUTS[layout]))
    assert readouts == [
        item.head.tobytes() + item.data.tobytes() for item in (*write.readouts, *write.waveforms)
    ]
    assert paths == [
        b"" if r.trajectory is None else r.trajectory.tobytes() for r in write.readouts
    ]
    assert reads == ([True] * 7 if layout in PLAIN else [])


def test_rows_that_were_never_written_are_left_to_the_library(write, reads):
    path = write(**LAYOUTS["in chunks"])
    before, _ = content(path)
    with h5py.File(path, "r+") as file:
        file["dataset/data"].resize(60, axis=0)
        file["dataset/data"][59] = file["dataset/data"][0]
    reads.clear()
    after, _ = content(path)
    assert after[:40] == before[:40]
    assert after[59] == before[0]
    assert reads == [True, True, False, False, *[True] * 4]


def test_lists_that_were_replaced_are_read_anew(write):
    path = write(**LAYOUTS["one by one"])
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][:]
        rows["data"] = [2 * samples for samples in rows["data"]]
        for number in (*range(30), 5, 4, 4):
            file["dataset/data"][number] = rows[number]
    with RawFile(path) as raw:
        for number, readout in enumerate(next(raw.blocks())):
            times = 2 if number < 30 else 1
            np.testing.assert_array_equal(readout.data, times * write.readouts[number].data)


def test_samples_are_aligned_wherever_they_lie(tmp_path, make_acquisition):
    path = tmp_path / "appended.h5"
    with ismrmrd.Dataset(path) as dataset:
        dataset.write_xml_header(b"<header/>")
        for number in range(4):  # each with its row, and odd bytes, between the others' samples
            dataset._file[str(number)] = np.zeros(3001, np.uint8)
            data = make_acquisition(8, 192).data
            dataset.append_acquisition(ismrmrd.Acquisition.from_array(data))
    _, places = places_in(path)
    assert any((place - places[0]) % 4 for place in places)
    with RawFile(path, "dataset") as raw:
        assert all(r.data.flags.aligned and r.data.flags.writeable for r in next(raw.blocks()))


def places_in(path):
    """Where in the file rows refer to samples, and where these lie."""
    with h5py.File(path) as file:
        chunks = []
        file["dataset/data"].id.chunk_iter(chunks.append)
    whole = path.read_bytes()
    # on disk a list takes 16 bytes, and the two of a row are behind its head
    begins = [
        chunk.byte_offset + acquisition_dtype["head"].itemsize + LIST.itemsize for chunk in chunks
    ]
    return begins, [int(np.frombuffer(whole, LIST, 1, at)["address"][0]) for at in begins]


HARMS = {
    "a length": ("row", 0, 0x7F7F),
    "an address beyond the file": ("row", 4, 0x7F7F),
    "an address beyond any file": ("row", 10, 0xFFFF),
    "a number": ("row", 12, 0x7F7F),
    "no collection": ("heap", 0, 0x7F7F),
    "another version": ("heap", 4, 2),
    "a small collection": ("shared", 8, 40),
    "more bytes": ("heap", 24, 0x7F7F),
    "fewer bytes": ("alone", 24, 8),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_list_that_is_not_there_is_damage(write, harm):
    path = write(**LAYOUTS["one by one"])
    where, offset, value = HARMS[harm]
    whole = path.read_bytes()
    for row, place in zip(*places_in(path), strict=True):
        (refers,) = np.frombuffer(whole, LIST, 1, row)
        alone = 4 * int(refers["length"]) > SHARED
        if place and (refers["number"] > 1) == (where == "shared") and alone >= (where == "alone"):
            break
    with path.open("r+b") as file:
        file.seek(offset + (row if where == "row" else place))
        file.write(value.to_bytes(2, "little"))
    with pytest.raises(QsmError, match=r"is damaged|do not fit") as told:
        content(path)
    assert "\n" not in str(told.value)


def test_an_address_that_overflows_with_its_length_is_damage(write):
    path = write(**LAYOUTS["one by one"])
    row = places_in(path)[0][4]  # of many samples
    with path.open("r+b") as file:
        file.seek(row + LIST.fields["address"][1])
        file.write((2**63 - 100).to_bytes(8, "little"))
    with pytest.raises(QsmError, match="is damaged"):
        content(path)


def test_a_chunk_beyond_any_file_is_left_to_the_library(write):
    path = write(**LAYOUTS["in one chunk"] | {"libver": None})
    with h5py.File(path) as file:
        chunks = []
        file["dataset/data"].id.chunk_iter(chunks.append)
    whole = path.read_bytes()
    address = chunks[0].byte_offset.to_bytes(8, "little")
    path.write_bytes(whole.replace(address, (2**64 - 3 * 2**60).to_bytes(8, "little")))
    with pytest.raises(QsmError, match="is damaged"):
        content(path)


def test_waveforms_that_cannot_be_opened_are_damage(write):
    path = write(**LAYOUTS["in one chunk"])
    with h5py.File(path) as file:
        header = h5py.h5o.get_info(file["dataset/waveforms"].id).addr
    with path.open("r+b") as file:
        file.seek(header + 20)
        file.write(b"\xff\xff")
    with RawFile(path) as raw, pytest.raises(QsmError, match="is damaged"):
        list(raw.waveforms())


def test_a_file_that_is_cut_off_while_it_is_read_is_damaged(write):
    path = write(**LAYOUTS["one by one"])
    with RawFile(path) as raw:
        blocks = raw.blocks(4)
        next(blocks)
        os.truncate(path, path.stat().st_size // 4)
        with pytest.raises(QsmError, match=r"scan\.h5 is damaged behind item \d+; copy it again"):
            list(blocks)


def test_harmed_files_give_what_was_written_or_what_the_library_gives_or_an_error(
    write, monkeypatch
):
    path, rng = write(**LAYOUTS["one by one"]), np.random.default_rng(9)
    whole, written = path.read_bytes(), content(path)
    rows, places = places_in(path)
    near = [*rows, *(place for place in places if place)]
    for _ in range(100):
        harmed = bytearray(whole)
        harmed[rng.choice(near) + rng.integers(32)] ^= 1 << rng.integers(8)
        path.write_bytes(harmed)
        try:
            found = content(path)
        except QsmError:
            continue
        with monkeypatch.context() as library, suppress(QsmError):
            if found != written:
                library.setattr(files.Table, "of", lambda _: None)
                assert content(path) == found
