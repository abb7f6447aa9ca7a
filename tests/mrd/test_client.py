"""Over real sockets on loopback: our client, and servers that fail."""

from __future__ import annotations

import shutil
import socket
import struct
import threading
import time

import ismrmrd
import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.client import stream, stream_messages
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigFile,
    ConfigText,
    DicomFile,
    Error,
    Image,
    Text,
)
from gadgetron_qsm.mrd.wire import PeerGone

HOST = "127.0.0.1"
CONFIG = ConfigText("<configuration/>")


def test_a_raw_file_goes_there_whole_and_the_answer_comes_back(serving, raw_file):
    seen, told = [], []

    def handler(connection):
        seen.append((connection.config, connection.header_text))
        seen.extend(connection)
        connection.send(Text("done"))

    port = serving(handler)
    messages = list(
        stream(raw_file, HOST, port, ConfigFile("qsm"), lambda *numbers: told.append(numbers))
    )
    assert messages == [Text("done")]
    with RawFile(raw_file) as raw:
        sent = [readout for block in raw.blocks() for readout in block]
        assert seen[0] == (ConfigFile("qsm"), raw.header_text)
    assert len(seen) == 1 + len(sent)
    for ours, theirs in zip(sent, seen[1:], strict=True):
        assert ours.head.tobytes() == theirs.head.tobytes()
        np.testing.assert_array_equal(ours.data, theirs.data)
    assert told[-1] == (1880, 1880)
    assert told == sorted(told)


def test_waveforms_are_sent_as_well(serving, raw_file, tmp_path, make_waveform, echo):
    path, waveform = tmp_path / "with_waveforms.h5", make_waveform()
    shutil.copy(raw_file, path)
    with ismrmrd.Dataset(path) as dataset:
        head = ismrmrd.WaveformHeader.from_buffer_copy(waveform.head)
        dataset.append_waveform(ismrmrd.Waveform(head, waveform.data))
    back, _ = stream(path, HOST, serving(echo), CONFIG)
    np.testing.assert_array_equal(back.data, waveform.data)


def test_more_than_all_buffers_hold_in_both_directions_does_not_block(
    serving, make_image, rng, echo
):
    port = serving(echo)
    data = rng.standard_normal((1, 32, 256, 256), np.float32)  # 8 MiB
    images = [make_image(data, image_index=i) for i in range(12)]
    back = list(stream_messages(images, "<header/>", HOST, port, CONFIG))
    assert [int(image.head["image_index"]) for image in back if isinstance(image, Image)] == [
        *range(12)
    ]
    np.testing.assert_array_equal(back[0].data, data)


def test_dicom_files_come_back_as_they_went(serving, echo):
    files = [DicomFile(bytes([n]) * 70_000, f"chi_{n:04d}", "<meta/>") for n in range(3)]
    back = list(stream_messages(files, "<header/>", HOST, serving(echo), CONFIG))
    assert back[:-1] == files


@pytest.fixture
def server_that():
    """A function that accepts one client, lets a function deal with it, and returns the port."""
    threads = []

    def start(deal):
        listener = socket.create_server((HOST, 0))

        def run():
            with listener:
                sock, _ = listener.accept()
            with sock:
                deal(sock)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return listener.getsockname()[1]

    yield start
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([Text("ERROR   no phase"), Close()], "the server reports: no phase"),
        ([Text("ERROR: no phase"), Close()], "the server reports: no phase"),
        ([Error("gadget crashed"), Close()], "the server reports: gadget crashed"),
        ([Text("working")], "ended without a result"),
        ([], "ended without a result"),
    ],
)
def test_a_server_without_a_result_is_an_error(
    server_that, raw_file, messages, text, send, answers
):
    port = server_that(lambda sock: answers(sock) and send(sock, *messages))
    with pytest.raises(QsmError, match=text):
        list(stream(raw_file, HOST, port, CONFIG))


def test_an_error_while_we_still_send_ends_at_once(server_that, make_image, send):
    told = threading.Event()

    def deal(sock):
        send(sock, Text("ERROR   no echo times"))
        told.wait(5)  # and reads nothing

    port = server_that(deal)
    images = [make_image(np.zeros((1, 32, 256, 256), np.float32))] * 8
    start = time.monotonic()
    with pytest.raises(QsmError, match="no echo times"):
        list(stream_messages(images, "<header/>", HOST, port, CONFIG))
    told.set()
    assert time.monotonic() - start < 2


def test_other_texts_are_handed_on(server_that, raw_file, send, answers):
    text = Text("INFO    unwrapping")
    port = server_that(lambda sock: answers(sock) and send(sock, text, Close()))
    assert list(stream(raw_file, HOST, port, CONFIG)) == [text]


def test_a_server_that_dies_in_the_scan_is_an_error_at_once(server_that, raw_file):
    port = server_that(lambda sock: sock.recv(1000))
    start = time.monotonic()
    with pytest.raises(QsmError, match="ended without a result"):
        list(stream(raw_file, HOST, port, CONFIG))
    assert time.monotonic() - start < 2


def test_no_server_is_an_error_that_names_the_address(raw_file):
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(QsmError, match=f"no MRD server answers at {HOST}:{port}"):
        next(stream(raw_file, HOST, port, CONFIG))


def test_a_file_damaged_in_the_middle_ends_the_scan_with_its_own_error(serving):
    def damaged():
        yield Text("{}")
        raise QsmError("scan.h5 is damaged")

    gone = []

    def handler(connection):
        try:
            list(connection)
        except PeerGone as error:
            gone.append(error)

    port = serving(handler)
    with pytest.raises(QsmError, match=r"scan\.h5 is damaged"):
        list(stream_messages(damaged(), "<header/>", HOST, port, CONFIG))
    deadline = time.monotonic() + 5
    while not gone and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(gone) == 1


def test_who_stops_taking_answers_leaves_no_thread(serving, make_image, echo):
    port = serving(echo)
    images = [make_image(np.zeros((1, 32, 256, 256), np.float32)) for _ in range(8)]
    back = stream_messages(images, "<header/>", HOST, port, CONFIG)
    next(back)
    back.close()
    assert [t for t in threading.enumerate() if t.name == "mrd-sender"] == []


def test_the_sizes_on_the_wire_are_those_of_the_standard(server_that, raw_file):
    received = []

    def deal(sock):
        with sock.makefile("rb") as encoded:
            received.append(encoded.read(2 + 1024 + 2 + 4))
            sock.sendall(struct.pack("<H", 4))
            encoded.read()

    list(stream(raw_file, HOST, server_that(deal), ConfigFile("qsm")))
    with RawFile(raw_file) as raw:
        size = len(raw.header_text.encode())
    assert received[0] == struct.pack("<H1024sHI", 1, b"qsm", 3, size)
