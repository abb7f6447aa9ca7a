from __future__ import annotations

import io
import struct
from collections import Counter

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigFile,
    ConfigText,
    DicomFile,
    Error,
    HeaderText,
    Text,
)
from gadgetron_qsm.mrd.wire import PIXEL_TYPES, read_message, write_message


def parse(stream):
    messages = []
    while not messages or not isinstance(messages[-1], Close):
        messages.append(read_message(stream))
    return messages


def encode(*messages):
    stream = io.BytesIO()
    for message in messages:
        write_message(stream, message)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("client_gadgetron", {"ConfigText": 1, "HeaderText": 1, "Acquisition": 1172, "Close": 1}),
        (
            "client_python_ismrmrd_server",
            {"ConfigFile": 1, "HeaderText": 1, "Acquisition": 1172, "Close": 1},
        ),
        (
            "server_acquisitions_r2",
            {"ConfigText": 1, "HeaderText": 1, "Acquisition": 1172, "Close": 1},
        ),
        (
            "server_acquisitions_whitened_r2",
            {"ConfigText": 1, "HeaderText": 1, "Acquisition": 1140, "Close": 1},
        ),
        ("server_bucket_r2", {"ConfigText": 1, "HeaderText": 1, "Bucket": 1, "Close": 1}),
        ("server_recondata_full", {"ConfigText": 1, "HeaderText": 1, "ReconData": 1, "Close": 1}),
        ("server_recondata_r2", {"ConfigText": 1, "HeaderText": 1, "ReconData": 1, "Close": 1}),
        ("server_imagearray_r2", {"ConfigText": 1, "HeaderText": 1, "ImageArray": 1, "Close": 1}),
        ("server_images_r2", {"ConfigText": 1, "HeaderText": 1, "Image": 3, "Close": 1}),
    ],
)
def test_every_recorded_stream_is_read_to_its_last_byte(recorded, name, kinds):
    stream = io.BytesIO(recorded(name))
    assert Counter(type(message).__name__ for message in parse(stream)) == kinds
    assert stream.read() == b""


@pytest.mark.parametrize(
    "name",
    [
        "client_gadgetron",
        "client_python_ismrmrd_server",
        "server_acquisitions_r2",
        "server_acquisitions_whitened_r2",
    ],
)
def test_what_a_real_peer_wrote_is_written_again_byte_by_byte(recorded, name):
    config, _, *data = parse(io.BytesIO(recorded(name)))
    stream = recorded(name)
    assert stream.startswith(encode(config).rstrip(b"\0"))
    assert stream.endswith(encode(*data))


def test_an_image_is_written_as_gadgetron_wrote_it_but_for_the_nul_behind_its_meta(recorded):
    stream = io.BytesIO(recorded("server_images_r2"))
    read_message(stream), read_message(stream)
    for _ in range(3):
        start = stream.tell()
        image = read_message(stream)
        theirs = stream.getvalue()[start : stream.tell()]
        size = len(image.meta.encode())
        lengths = struct.pack("<IQ", size, size)
        assert theirs[208 + size] == 0
        assert encode(image) == (
            theirs[:196] + lengths + theirs[208 : 208 + size] + theirs[209 + size :]
        )


def test_readouts_and_images_have_the_shapes_of_the_recorded_scan(recorded):
    raw = parse(io.BytesIO(recorded("server_acquisitions_r2")))[2:-1]
    assert {message.data.shape for message in raw} == {(4, 44)}
    cropped = parse(io.BytesIO(recorded("server_acquisitions_whitened_r2")))[2:-1]
    assert {message.data.shape for message in cropped} == {(4, 22)}
    images = parse(io.BytesIO(recorded("server_images_r2")))[2:-1]
    assert {image.data.shape for image in images} == {(1, 22, 28, 22)}
    assert [int(image.head["contrast"]) for image in images] == [0, 1, 2]


def test_a_readout_with_trajectory_is_what_ismrmrd_reads_and_writes(make_acquisition):
    ours = make_acquisition(dimensions=2)
    encoded = encode(ours)
    theirs = ismrmrd.Acquisition.from_bytes(encoded[2:])
    np.testing.assert_array_equal(theirs.data, ours.data)
    np.testing.assert_array_equal(theirs.traj, ours.trajectory)
    assert theirs.idx.contrast == ours.head["idx"]["contrast"]
    assert struct.pack("<H", 1008) + theirs.to_bytes() == encoded
    back = read_message(io.BytesIO(encoded))
    np.testing.assert_array_equal(back.data, ours.data)
    np.testing.assert_array_equal(back.trajectory, ours.trajectory)


def test_a_waveform_is_what_ismrmrd_reads(make_waveform):
    ours = make_waveform()
    encoded = encode(ours)
    theirs = ismrmrd.Waveform.from_bytes(encoded[2:])
    np.testing.assert_array_equal(theirs.data, ours.data)
    assert theirs.time_stamp == ours.head["time_stamp"]
    np.testing.assert_array_equal(read_message(io.BytesIO(encoded)).data, ours.data)


@pytest.mark.parametrize("dtype", [t for t in PIXEL_TYPES.values() if t != np.int32], ids=str)
def test_an_image_of_every_pixel_type_is_what_ismrmrd_reads(make_image, rng, dtype):
    data = (100 * rng.standard_normal((2, 3, 4, 5)) ** 2).astype(dtype)
    meta = ismrmrd.Meta({"unit": "µg"}).serialize()
    encoded = encode(make_image(data, meta))
    theirs = ismrmrd.Image.from_bytes(encoded[2:])
    np.testing.assert_array_equal(theirs.data, data)
    assert theirs.data.dtype == dtype
    assert theirs.meta["unit"] == "µg"
    assert struct.unpack_from("<IQ", encoded, 2 + 194) == (len(meta.encode()),) * 2


@pytest.mark.parametrize("dtype", PIXEL_TYPES.values(), ids=str)
def test_an_image_of_every_pixel_type_comes_back(make_image, rng, dtype):
    data = (100 * rng.standard_normal((2, 3, 4, 5)) ** 2).astype(dtype)
    back = read_message(io.BytesIO(encode(make_image(data, "<meta/>"))))
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype == dtype
    assert back.meta == "<meta/>"


def test_an_image_is_not_changed_by_sending_it(make_image):
    image = make_image(np.ones((2, 3, 4, 5), np.float32), "<meta/>")
    before = image.head.tobytes()
    encode(image)
    assert image.head.tobytes() == before


def test_texts_are_laid_out_as_the_standard_says():
    assert encode(ConfigFile("qsm")) == struct.pack("<H1024s", 1, b"qsm")
    assert encode(ConfigText("<a/>")) == struct.pack("<HI4s", 2, 4, b"<a/>")
    assert encode(HeaderText("<h/>")) == struct.pack("<HI4s", 3, 4, b"<h/>")
    assert encode(Text("é")) == struct.pack("<HI2s", 5, 2, "é".encode())
    assert encode(Error("no")) == struct.pack("<HQ2s", 8, 2, b"no")
    assert encode(Close()) == struct.pack("<H", 4)


def test_a_dicom_file_is_laid_out_as_gadgetron_does():
    """Its DicomImageWriter: bytes behind a uint32, name and meta behind a uint64 each."""
    name, meta = "SLC0_µ".encode(), b"<meta/>"
    layout = f"<HI5sQ{len(name)}sQ7s"
    encoded = struct.pack(layout, 1018, 5, b"\0DICM", len(name), name, 7, meta)
    file = DicomFile(b"\0DICM", "SLC0_µ", "<meta/>")
    assert encode(file) == encoded
    stream = io.BytesIO(encoded + encode(Close()))
    assert parse(stream) == [file, Close()]


def test_a_dicom_file_without_name_and_meta_has_their_lengths_all_the_same():
    encoded = struct.pack("<HI3sQQ", 1018, 3, b"abc", 0, 0)
    assert encode(DicomFile(b"abc", "")) == encoded
    assert read_message(io.BytesIO(encoded)) == DicomFile(b"abc", "", "")


@pytest.mark.parametrize("message", [ConfigFile("a.xml"), ConfigText("<a/>"), Text("é"), Error("")])
def test_texts_come_back(message):
    assert read_message(io.BytesIO(encode(message))) == message


@pytest.mark.parametrize("kind", [Text, Error, ConfigText, HeaderText, ConfigFile])
def test_half_of_a_surrogate_pair_is_written_out(kind):
    """As JSON may have it and we may quote: a text that cannot be sent would end the server."""
    assert read_message(io.BytesIO(encode(kind("no \ud800")))) == kind("no \\ud800")


def test_half_of_a_surrogate_pair_is_written_out_in_an_images_meta_too(make_image):
    back = read_message(io.BytesIO(encode(make_image(np.ones((1, 1, 2, 2), np.float32), "\ud800"))))
    assert (back.meta, int(back.head["attribute_string_len"])) == ("\\ud800", 6)


def test_nul_behind_a_text_is_no_part_of_it():
    stream = io.BytesIO(struct.pack("<HI6s", 3, 6, b"<h/>\0\0"))
    assert read_message(stream) == HeaderText("<h/>")
