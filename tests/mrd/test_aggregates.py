from __future__ import annotations

import io
import struct

import ismrmrd
import numpy as np
import pytest
from gadgetron.external.connection import Connection as PackageConnection
from gadgetron.types.image_array import ImageArray as PackageImageArray
from gadgetron.types.image_array import write_image_array
from gadgetron.types.recon_data import ReconBit, ReconBuffer, ReconData, write_recon_data

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    Bucket,
    ImageArray,
)
from gadgetron_qsm.mrd.wire import PeerGone, read_message
from tests.encoded import bucket as bucket_of
from tests.encoded import image_array, recon_data

# numpy tells so whenever it looks at an array of the package's packed ctypes headers
pytestmark = pytest.mark.filterwarnings("ignore:A builtin ctypes object gave:RuntimeWarning")


class Exactly(io.BytesIO):
    """The package's readers take what they get."""

    def read(self, size=-1):
        data = super().read(size)
        assert len(data) == size
        return data


@pytest.fixture
def both(recorded):
    """A function that reads the one data message of a stream: with the package, and with ours."""

    def read(name):
        stream = Exactly(recorded(name))
        for _ in range(2):
            stream.read(struct.unpack("<HI", stream.read(6))[1])
        start = stream.tell()
        kind = struct.unpack("<H", stream.read(2))[0]
        theirs = PackageConnection._default_readers()[kind](stream)
        stream.seek(start)
        return theirs, read_message(stream)

    return read


def same_heads(ours, theirs):
    pairs = zip(ours.ravel(), theirs.ravel(), strict=True)
    return ours.shape == theirs.shape and all(a.tobytes() == bytes(b) for a, b in pairs)


@pytest.mark.parametrize("name", ["server_recondata_full", "server_recondata_r2"])
def test_recon_data_is_what_the_package_reads(both, name):
    theirs, ours = both(name)
    assert len(theirs.bits) == len(ours.bits) == 1
    (data, reference), bit = ours.bits[0], theirs.bits[0]
    assert (reference is None) == (bit.ref is None) == (name == "server_recondata_full")
    for buffer, other in [(data, bit.data), (reference, bit.ref)][: 1 + (reference is not None)]:
        assert buffer.data.shape == (22, 28, 22, 4, 3, 1, 1)
        np.testing.assert_array_equal(buffer.data, other.data)
        assert same_heads(buffer.headers, other.headers)
        for ours_name, theirs_name in (
            ("encoded_fov", "encoded_FOV"),
            ("recon_fov", "recon_FOV"),
            ("encoded_matrix", "encoded_matrix"),
            ("recon_matrix", "recon_matrix"),
        ):
            assert list(buffer.sampling[ours_name]) == list(getattr(other.sampling, theirs_name))
        limits = [list(limit) for limit in other.sampling.sampling_limits]
        assert (
            buffer.sampling["limits"].tolist() == limits == [[0, 11, 21], [0, 14, 27], [0, 11, 21]]
        )


def test_an_image_array_is_what_the_package_reads(both):
    theirs, ours = both("server_imagearray_r2")
    assert ours.data.shape == (22, 28, 22, 1, 3, 1, 1)
    np.testing.assert_array_equal(ours.data, theirs.data)
    assert same_heads(ours.headers, theirs.headers)
    assert ours.meta == [meta.rstrip("\0") for meta in theirs.meta]


def test_a_bucket_is_what_the_package_reads(both):
    theirs, ours = both("server_bucket_r2")
    assert (len(ours.data), len(ours.reference), len(ours.waveforms)) == (924, 432, 0)
    for mine, other in zip((*ours.data, *ours.reference), (*theirs.data, *theirs.ref), strict=True):
        assert mine.head.tobytes() == bytes(other.getHead())
        np.testing.assert_array_equal(mine.data, other.data)


def test_a_bucket_with_waveforms_and_trajectories_is_read_whole(make_acquisition, make_waveform):
    data = [
        make_acquisition(samples=5, dimensions=2),
        make_acquisition(samples=6),
        make_acquisition(),
    ]
    reference = [make_acquisition(channels=1, dimensions=3)]
    waveforms = [make_waveform(), make_waveform(channels=1, samples=9)]
    stream = io.BytesIO(bucket_of(data, reference, waveforms) + struct.pack("<H", 4))
    bucket = read_message(stream)
    for mine, sent in zip((*bucket.data, *bucket.reference), (*data, *reference), strict=True):
        assert mine.head.tobytes() == sent.head.tobytes()
        np.testing.assert_array_equal(mine.data, sent.data)
        if sent.trajectory is not None:
            np.testing.assert_array_equal(mine.trajectory, sent.trajectory)
    for mine, sent in zip(bucket.waveforms, waveforms, strict=True):
        assert mine.head.tobytes() == sent.head.tobytes()
        np.testing.assert_array_equal(mine.data, sent.data)
    assert stream.read() == struct.pack("<H", 4)


def test_trajectories_longer_than_their_cropped_readouts_are_left_out(make_acquisition):
    data = [make_acquisition(dimensions=2), make_acquisition(dimensions=2)]
    uncropped = np.zeros(2 * 14 * 2, np.float32).tobytes()
    stream = io.BytesIO(bucket_of(data, [], [], trajectories=uncropped))
    bucket = read_message(stream)
    assert [readout.trajectory for readout in bucket.data] == [None, None]
    np.testing.assert_array_equal(bucket.data[1].data, data[1].data)


def test_an_empty_bucket_is_empty():
    assert read_message(io.BytesIO(bucket_of([], [], []))) == Bucket([], [], [])


def test_a_bucket_whose_readouts_are_not_as_long_as_their_headers_say_is_refused(make_acquisition):
    encoded = bytearray(bucket_of([make_acquisition(samples=5)], [], []))
    struct.pack_into("<H", encoded, 2 + 104 + 34, 6)
    with pytest.raises(QsmError, match="not as long as their headers say"):
        read_message(io.BytesIO(encoded))


def test_a_bucket_with_headers_of_another_version_is_refused(make_acquisition):
    encoded = bytearray(bucket_of([make_acquisition()], [], []))
    struct.pack_into("<Q", encoded, 2 + 8, 344)
    with pytest.raises(QsmError, match="version"):
        read_message(io.BytesIO(encoded))


@pytest.mark.parametrize(("at", "part"), [(3, "trajectory"), (2, "data")])
def test_a_bucket_whose_parts_end_in_a_number_is_refused(make_acquisition, at, part):
    encoded = bytearray(bucket_of([make_acquisition(dimensions=1)], [], []) + bytes(9))
    (size,) = struct.unpack_from("<Q", encoded, 2 + 8 * at)
    struct.pack_into("<Q", encoded, 2 + 8 * at, size + 1)
    with pytest.raises(QsmError, match=f"the {part} of a bucket ends in the middle of a number"):
        read_message(io.BytesIO(encoded))


def test_a_bucket_with_empty_waveforms_and_readouts_is_read(make_acquisition, make_waveform):
    empty = make_acquisition(samples=0, dimensions=2)
    encoded = bucket_of([empty, make_acquisition(dimensions=2)], [], [make_waveform(channels=0)])
    read = read_message(io.BytesIO(encoded))
    assert read.data[0].trajectory.shape == (0, 2)
    assert read.waveforms[0].data.shape == (0, 5)


@pytest.mark.parametrize("shape", [(4, 3, 2, 1, 2, 1), (4, 3, 2, 1, 2, 2, 1)])
@pytest.mark.parametrize("encode", [recon_data, image_array])
def test_an_array_without_a_header_for_each_part_is_refused(shape, encode):
    heads = {recon_data: ACQUISITION_HEADER, image_array: IMAGE_HEADER}[encode]
    behind = {recon_data: (3, 2, 2, 1, 1), image_array: (2, 1, 1)}[encode]
    encoded = encode(np.zeros(shape, np.complex64), np.zeros(behind, heads))
    with pytest.raises(QsmError, match=r"has headers \(.*\) for data"):
        read_message(io.BytesIO(encoded))


def test_a_bucket_cut_anywhere_is_a_peer_gone(make_acquisition, make_waveform):
    encoded = bucket_of([make_acquisition(dimensions=1)], [make_acquisition()], [make_waveform()])
    for end in range(len(encoded)):
        with pytest.raises(PeerGone):
            read_message(io.BytesIO(encoded[:end]))


def test_what_the_package_writes_of_recon_data_is_read(both, rng):
    theirs, _ = both("server_recondata_r2")
    bit = theirs.bits[0]
    path = rng.standard_normal((2, 22, 28)).astype(np.float32)
    buffer = ReconBuffer(bit.data.data, path, path[0], bit.data.headers, bit.data.sampling)
    stream = io.BytesIO()
    write_recon_data(stream, ReconData([ReconBit(buffer, bit.ref), ReconBit(buffer)]))
    stream.seek(0)
    ours = read_message(stream)
    assert [reference is None for _, reference in ours.bits] == [False, True]
    np.testing.assert_array_equal(ours.bits[0][1].data, bit.ref.data)
    np.testing.assert_array_equal(ours.bits[1][0].data, bit.data.data)
    assert stream.read() == b""


@pytest.mark.parametrize("with_waveforms", [False, True])
def test_what_the_package_writes_of_an_image_array_is_read(
    both, make_acquisition, make_waveform, with_waveforms
):
    theirs, _ = both("server_imagearray_r2")
    readouts = np.empty((2,), object)
    readouts[:] = [
        ismrmrd.AcquisitionHeader.from_buffer_copy(make_acquisition().head) for _ in range(2)
    ]
    stream = io.BytesIO()
    write_image_array(
        stream, PackageImageArray(theirs.data, theirs.headers, theirs.meta, None, readouts)
    )
    encoded = stream.getvalue()
    if with_waveforms:  # as Gadgetron has them: no message number in front of each
        waves = [make_waveform(), make_waveform(samples=1)]
        packed = b"".join(w.head.tobytes() + w.data.tobytes() for w in waves)
        behind = 1 + 1 + 8 + 8 + 2 * 340
        present = b"\1" + struct.pack("<Q", len(waves)) + packed
        encoded = encoded[:-behind] + present + encoded[1 - behind :]
    stream = io.BytesIO(encoded)
    ours = read_message(stream)
    assert isinstance(ours, ImageArray)
    np.testing.assert_array_equal(ours.data, theirs.data)
    assert stream.read() == b""


def test_the_waveform_header_has_the_padding_of_the_c_struct():
    assert WAVEFORM_HEADER.itemsize == 40
