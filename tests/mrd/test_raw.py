"""Raw files of all kinds give the same; those that are broken give a line."""

from __future__ import annotations

import os
import struct
from io import BytesIO

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigFile,
    ConfigText,
    Error,
    HeaderText,
    Query,
    Text,
)
from gadgetron_qsm.mrd.raw import opened
from gadgetron_qsm.mrd.streams import RawStream
from gadgetron_qsm.mrd.wire import image_head, write_message


@pytest.fixture
def write(tmp_path):
    """A function that writes messages to a file, with a name that tells nothing."""

    def write(*messages, name="scan.bin"):
        with (tmp_path / name).open("wb") as file:
            for message in messages:
                write_message(file, message)
        return tmp_path / name

    return write


@pytest.fixture
def scan(make_acquisition, make_waveform, make_image):
    """What a scan sends behind its header."""
    readouts = [make_acquisition(), make_acquisition(2, 5, 3), make_acquisition(samples=1)]
    image = make_image(np.ones((1, 2, 3, 4), np.float32), "<meta/>")
    return [readouts[0], make_waveform(), Text("{}"), *readouts[1:], image, make_waveform(1)]


def held(raw):
    """All bytes that a raw file holds, by what they are."""
    readouts = [item for block in raw.blocks(2) for item in block]
    paths = [b"" if r.trajectory is None else r.trajectory.tobytes() for r in readouts]
    parts = readouts, list(raw.waveforms()), list(raw.images())
    return [[item.head.tobytes() + item.data.tobytes() for item in part] for part in parts], paths


@pytest.mark.parametrize("config", [None, ConfigFile("qsm"), ConfigText("<configuration/>")])
def test_a_stream_holds_what_was_written(write, scan, config):
    first = [config] if config else []
    with opened(write(*first, HeaderText("<header/>"), *scan, Close())) as raw:
        assert (raw.name, raw.header_text, raw.config, len(raw)) == (
            "scan.bin", "<header/>", config, 3,
        )  # fmt: skip
        (readouts, waveforms, images), paths = held(raw)
        assert readouts == [scan[i].head.tobytes() + scan[i].data.tobytes() for i in (0, 3, 4)]
        assert paths == [b"", scan[3].trajectory.tobytes(), b""]
        assert waveforms == [scan[i].head.tobytes() + scan[i].data.tobytes() for i in (1, 6)]
        assert images == [image_head(scan[5]).tobytes() + scan[5].data.tobytes()]
        assert next(raw.images()).meta == "<meta/>"
        assert [len(block) for block in raw.blocks(2)] == [2, 1]


def test_a_stream_of_the_ismrmrd_package_is_read(tmp_path, scan, header_text):
    path = tmp_path / "theirs"
    with ismrmrd.serialization.ProtocolSerializer(str(path)) as stream:
        stream.serialize(ismrmrd.xsd.CreateFromDocument(header_text()))
        for readout in (scan[0], scan[3]):
            head = ismrmrd.AcquisitionHeader.from_buffer_copy(readout.head)
            stream.serialize(ismrmrd.Acquisition(head, readout.data, readout.trajectory))
    with opened(path) as raw:
        (readouts, _, _), paths = held(raw)
    assert readouts == [r.head.tobytes() + r.data.tobytes() for r in (scan[0], scan[3])]
    assert paths == [b"", scan[3].trajectory.tobytes()]
    assert "ismrmrdHeader" in raw.header_text


def test_hdf5_is_told_by_its_content(raw_file, tmp_path):
    link = tmp_path / "scan.mrd"
    link.symlink_to(raw_file)
    with opened(link) as raw:
        assert isinstance(raw, RawFile)
        assert len(raw) == 1880


def test_a_stream_without_close_is_whole_with_a_warning(write, scan, caplog):
    with opened(write(HeaderText("<header/>"), *scan)) as raw:
        assert sum(map(len, raw.blocks())) == len(raw) == 3
    assert "scan.bin has no CLOSE at its end" in caplog.text


@pytest.mark.parametrize("short", [1, 10])
def test_a_stream_that_is_cut_off_gives_what_came_and_says_so(write, scan, short):
    path = write(HeaderText("<header/>"), scan[0], scan[3])
    os.truncate(path, path.stat().st_size - short)
    with opened(path) as raw:
        assert len(raw) == 1
        readouts = (readout for block in raw.blocks(1) for readout in block)
        next(readouts)
        with pytest.raises(QsmError, match=r"scan\.bin is cut off in its message 2; copy"):
            next(readouts)
        with pytest.raises(QsmError, match=r"scan\.bin is cut off in its message 2; copy"):
            list(raw.waveforms())


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ([ConfigFile("qsm")], "ends before its MRD header does"),
        ([ConfigFile("qsm"), ConfigFile("qsm")], "message of kind 1 where its MRD header must be"),
        ([ConfigFile("qsm"), Close()], "message of kind 4 where its MRD header must be"),
        ([HeaderText("<x/>"), HeaderText("<x/>")], "message 1: HeaderText has no place there"),
        ([HeaderText("<x/>"), Error("it hurts")], "message 1: it reports an error: it hurts"),
        ([HeaderText("<x/>"), Text(""), Query(1, "k")], "message 2: Query has no place there"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told(write, messages, what):
    with pytest.raises(QsmError, match=rf"^scan\.bin.*{what}"), opened(write(*messages)) as raw:
        list(raw.blocks())


def test_what_is_no_message_is_told(write):
    path = write(HeaderText("<header/>"))
    with path.open("ab") as file:
        file.write(struct.pack("<H", 999))
    with pytest.raises(QsmError, match=r"scan\.bin, message 1: messages of kind 999"):
        list(RawStream(path).blocks())


def test_sizes_beyond_the_header_are_refused_before_they_are_read(write, header_text, scan):
    encoded = BytesIO()
    head = scan[0].head.copy()
    head["number_of_samples"] = head["active_channels"] = 65535
    encoded.write(struct.pack("<H", 1008) + head.tobytes() + bytes(100))
    path = write(HeaderText(header_text()))
    with path.open("ab") as file:
        file.write(encoded.getvalue())
    with pytest.raises(QsmError, match=r"scan\.bin, message 1: a readout announces a size"):
        list(RawStream(path).blocks())


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no HDF5 file and no MRD stream"),
        (b"\x01", "no HDF5 file and no MRD stream"),
        (b"a text", "no HDF5 file and no MRD stream"),
        (b"\x03\x00", "ends before its MRD header does"),
    ],
)
def test_what_is_no_raw_file_is_told(tmp_path, content, what):
    (tmp_path / "scan.bin").write_bytes(content)
    with pytest.raises(QsmError, match=rf"^scan\.bin .*{what}"):
        opened(tmp_path / "scan.bin")


def test_a_pipe_and_nothing_are_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(QsmError, match=r"^pipe is no file; 'gadgetron-qsm stream' reads"):
        opened(tmp_path / "pipe")
    with pytest.raises(QsmError, match=r"^nothing does not exist"):
        opened(tmp_path / "nothing")
