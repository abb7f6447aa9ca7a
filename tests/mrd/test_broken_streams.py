"""Streams that end too early, or make no sense, and messages that cannot be sent."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    Acquisition,
    Bucket,
    Close,
    ConfigFile,
    DicomFile,
    Error,
    HeaderText,
    Image,
)
from gadgetron_qsm.mrd.wire import PeerGone, read_message, write_message


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


class Dribble(io.RawIOBase):
    """Gives one byte a read, as a bad network may."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        byte = self.data.read(1)
        buffer[: len(byte)] = byte
        return len(byte)


@pytest.mark.parametrize(
    "kind", ["config file", "text", "error", "readout", "trajectory", "waveform", "image", "dicom"]
)
def test_a_stream_cut_anywhere_in_a_message_is_a_peer_gone(
    make_acquisition, make_waveform, make_image, kind
):
    message = {
        "config file": ConfigFile("qsm"),
        "text": HeaderText("<h/>"),
        "error": Error("why"),
        "readout": make_acquisition(),
        "trajectory": make_acquisition(dimensions=3),
        "waveform": make_waveform(),
        "image": make_image(np.ones((1, 2, 3, 4), np.float32), "<meta/>"),
        "dicom": DicomFile(b"DICM", "chi_0001", "<meta/>"),
    }[kind]
    encoded = encode(message)
    for end in range(len(encoded)):
        with pytest.raises(PeerGone):
            read_message(io.BytesIO(encoded[:end]))


@pytest.mark.parametrize(
    "name", ["server_bucket_r2", "server_recondata_r2", "server_imagearray_r2"]
)
def test_a_recorded_stream_cut_anywhere_is_a_peer_gone(recorded, rng, name):
    stream = recorded(name)
    for end in rng.integers(3000, len(stream) - 2, 50):
        with pytest.raises(PeerGone):
            parse(io.BytesIO(stream[:end]))


def test_bytes_that_come_one_by_one_make_the_same_messages(make_acquisition, make_image):
    messages = [make_acquisition(), make_image(np.ones((1, 2, 3, 4), np.float32)), Close()]
    dribble = io.BufferedReader(Dribble(encode(*messages)), 16)
    assert encode(*parse(dribble)) == encode(*messages)


@pytest.mark.parametrize("reset", [ConnectionResetError, BrokenPipeError])
def test_a_broken_connection_is_a_peer_gone(reset):
    class Broken(io.RawIOBase):
        def read(self, _=-1):
            raise reset

    with pytest.raises(PeerGone):
        read_message(Broken())


def absurd_head(dtype, **values):
    head = np.zeros((), dtype)
    for name, value in values.items():
        head[name] = value
    return head.tobytes()


@pytest.mark.parametrize(
    "encoded",
    [
        struct.pack("<HI", 3, 0xFFFFFFFF),
        struct.pack("<HQ", 8, 1 << 60),
        struct.pack("<HI", 2, (4 << 20) + 1),
        struct.pack("<H", 1008)
        + absurd_head(ACQUISITION_HEADER, active_channels=65535, number_of_samples=65535),
        struct.pack("<H", 1022)
        + absurd_head(IMAGE_HEADER, data_type=7, channels=9, matrix_size=65535)
        + struct.pack("<Q", 0),
        struct.pack("<HQ7Q", 1024, 7, *[1 << 20] * 7),
        struct.pack("<HQ7Q", 1024, 7, 1 << 40, *[0] * 6),
        struct.pack("<HQ", 1024, 1 << 40),
        struct.pack("<HQ", 1023, 1 << 40),
        struct.pack("<HI", 1018, 0xFFFFFFFF),
        struct.pack("<HIQ", 1018, 0, 1 << 40),
        struct.pack("<HIQQ", 1018, 0, 0, 1 << 40),
    ],
    ids=[
        "header", "error", "configuration", "readout", "image", "array size", "empty array",
        "array rank", "buffers",
        "dicom", "name of dicom", "meta of dicom",
    ],
)  # fmt: skip
def test_an_absurd_length_is_refused_before_it_is_read(encoded):
    with pytest.raises(QsmError, match=r"corrupt") as refused:
        read_message(io.BytesIO(encoded))
    assert not isinstance(refused.value, PeerGone)


def test_an_unknown_pixel_type_is_refused():
    head = absurd_head(IMAGE_HEADER, data_type=99)
    with pytest.raises(QsmError, match="pixel type 99"):
        read_message(io.BytesIO(struct.pack("<H", 1022) + head + struct.pack("<Q", 0)))


@pytest.mark.parametrize("kind", [0, 9, 1012, 1030])
def test_an_unknown_message_is_refused_by_its_number(kind):
    with pytest.raises(QsmError, match=f"kind {kind} "):
        read_message(io.BytesIO(struct.pack("<H", kind) + bytes(100)))


def test_a_header_that_does_not_fit_its_data_is_not_sent(make_acquisition, make_waveform):
    good, path, wave = make_acquisition(), make_acquisition(dimensions=2), make_waveform()
    for bad in (
        Acquisition(good.head, good.data[:, :-1]),
        Acquisition(path.head, path.data),
        Acquisition(path.head, path.data, path.trajectory[:-1]),
        type(wave)(wave.head, wave.data[:1]),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            encode(bad)


@pytest.mark.parametrize(
    ("message", "what"),
    [(Bucket([], []), "Bucket"), (ConfigFile("a" * 1024), "name")],
)
def test_what_cannot_be_sent_is_refused(message, what):
    with pytest.raises(QsmError, match=what):
        encode(message)


def test_a_dicom_file_that_no_length_can_tell_is_not_sent(monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.mrd.writing.LARGEST_DICOM", 3)
    encode(DicomFile(b"abc", "chi"))
    with pytest.raises(QsmError, match=r"4 bytes is too large for a message .* archive"):
        encode(DicomFile(b"abcd", "chi"))


@pytest.mark.parametrize("data", [np.zeros((2, 3, 4)), np.zeros((1, 2, 3, 4), np.int64)])
def test_pixels_that_mrd_does_not_know_are_not_sent(data):
    with pytest.raises(QsmError, match="MRD image"):
        encode(Image(np.zeros((), IMAGE_HEADER)[()], data))
