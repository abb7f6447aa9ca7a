"""Peers that end at each place in each kind of message, in each way that sockets end."""

from __future__ import annotations

import dataclasses
import socket

import numpy as np
import pytest

from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.messages import (
    WAVEFORM_HEADER,
    DicomFile,
    Error,
    Query,
    Response,
    Text,
    Waveform,
)
from tests import encoded
from tests.end_to_end.peers import Peer
from tests.faults import bombs, small_scan
from tests.faults.census import eventually
from tests.faults.served import SERIES, connected, names, reset

CONFIG, HEADER = small_scan.config_text(), small_scan.text(3, small_scan.HEADER)
LINES = small_scan.scan_of("acquisitions")


def waveform():
    head = np.zeros((), WAVEFORM_HEADER)
    head["channels"], head["number_of_samples"] = 2, 5
    return encoded.message(Waveform(head[()], np.zeros((2, 5), np.uint32)))


def with_trajectory():
    line = small_scan.readouts()[20]
    head = line.head.copy()
    head["trajectory_dimensions"] = 2
    path = np.zeros((2 * small_scan.NX, 2), np.float32)
    return encoded.message(dataclasses.replace(line, head=head, trajectory=path))


# What comes in front of each kind of message, and the message.
MESSAGES = {
    "configuration by name": ([], small_scan.config_name("fast")),
    "configuration": ([], CONFIG),
    "header": ([CONFIG], HEADER),
    "query": ([], encoded.message(Query(1, "gadgetron::info::version"))),
    "response": ([CONFIG, HEADER, *LINES[:20]], encoded.message(Response(1, "4.7.2"))),
    "parameters": ([CONFIG, HEADER], small_scan.text(5, '{"parameters": {"swi": true}}')),
    "acquisition": ([CONFIG, HEADER, *LINES[:20]], LINES[20]),
    "trajectory": ([CONFIG, HEADER, *LINES[:20]], with_trajectory()),
    "waveform": ([CONFIG, HEADER, *LINES[:20]], waveform()),
    "image": ([CONFIG, HEADER], small_scan.scan_of("images")[0]),
    "bucket": ([CONFIG, HEADER], *small_scan.scan_of("bucket")),
    "recon data": ([CONFIG, HEADER], *small_scan.scan_of("recon data")),
    "image array": ([CONFIG, HEADER], *small_scan.scan_of("image array")),
    "dicom": ([CONFIG, HEADER], encoded.message(DicomFile(bytes(200), "chi", "<meta/>"))),
    "error": ([CONFIG, HEADER, *LINES[:20]], small_scan.text(8, "")[:2] + bytes(8)),
    "close": ([CONFIG, HEADER, *LINES], small_scan.CLOSE),
}


def places(message):
    """In front of it, in its number, in its head, in its body, before its last byte, behind it."""
    sizes = (0, 1, min(10, len(message) - 1), len(message) // 2, len(message) - 1, len(message))
    return sorted(set(sizes))


def half_close(sock):
    """Say that no more will come, and read the answer; None when there is none."""
    sock.shutdown(socket.SHUT_WR)
    return Peer(sock).answer() if sock.recv(1, socket.MSG_PEEK) else None


ENDS = {"half-close": half_close, "close": socket.socket.close, "reset": reset}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", MESSAGES)
def test_a_peer_that_ends_anywhere_in_a_message_leaves_nothing_behind(served, kind, end):
    before, message = MESSAGES[kind]
    for size in places(message):
        with connected(served.port) as sock:
            sock.sendall(b"".join(before) + message[:size])
            answer = ENDS[end](sock)
        if answer or (scan_had_begun(kind, size, message) and end == "half-close"):
            assert_told(served.command, answer, begun=scan_had_begun(kind, size, message))
        assert served.settles(), (size, served.census(), served.at_rest)
    assert "Traceback" not in served.log_since()
    assert served.serves()


def scan_had_begun(kind, size, message):
    """Whether the server knew by then that a scan comes: before, nobody waits for a result."""
    if kind == "query" or kind.startswith("configuration"):
        return False
    return kind != "header" or size == len(message)


@pytest.mark.parametrize("end", ["half-close", "close"])
@pytest.mark.parametrize("kind", ["acquisition", "trajectory", "waveform"])
def test_what_had_come_whole_is_kept(impatient_by, kind, end):
    served = impatient_by("serve")
    spool = served.folder / "spool"
    earlier = set(spool.glob("*.h5"))
    before, message = MESSAGES[kind]
    with connected(served.port) as sock:
        sock.sendall(b"".join(before) + message[: len(message) // 2])
        ENDS[end](sock)
    assert eventually(lambda: set(spool.glob("*.h5")) - earlier and served.settles(), 20)
    (kept,) = set(spool.glob("*.h5")) - earlier
    with RawFile(kept) as raw:
        readouts = [readout for block in raw.blocks() for readout in block]
    assert [readout.data.tobytes() for readout in readouts] == [
        readout.data.tobytes() for readout in small_scan.readouts()[:20]
    ]


def assert_told(command, answer, *, begun):
    """One line says what is wrong, as the peer of such a server reads it; or all of it had come."""
    lines = [m.text for m in answer.messages if isinstance(m, Text | Error)]
    errors = [m for m in answer.messages if isinstance(m, Error) or text_of_error(m)]
    assert not any("\n" in line for line in lines)
    if begun and names(answer) != SERIES:
        (told,) = errors
        assert isinstance(told, Text if command == "serve" else Error)


def text_of_error(message):
    return isinstance(message, Text) and message.text.startswith("ERROR   ")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_peer_that_goes_while_its_maps_are_made_leaves_nothing_behind(served, end):
    for _ in range(3):
        with connected(served.port) as sock:
            sock.sendall(b"".join(small_scan.stream()))
            ENDS[end](sock)
        assert served.settles()
    assert "Traceback" not in served.log_since()
    assert served.serves()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_peer_that_goes_while_its_maps_are_sent_leaves_nothing_behind(served, end):
    with connected(served.port) as sock:
        sock.sendall(b"".join(small_scan.stream()))
        assert sock.recv(10, socket.MSG_WAITALL)
        ENDS[end](sock)
    assert served.settles()
    assert "Traceback" not in served.log_since()
    assert served.serves()


def test_bytes_that_dribble_in_one_by_one_give_the_series(served):
    stream = b"".join(small_scan.stream("acquisitions"))
    whole = served.answer(stream)
    with connected(served.port) as sock:
        for byte in stream[:8000]:
            sock.send(bytes([byte]))
        for start in range(8000, len(stream) - 200, 4099):
            sock.sendall(stream[start : min(start + 4099, len(stream) - 200)])
        for byte in stream[-200:]:
            sock.send(bytes([byte]))
        dribbled = Peer(sock).answer()
    assert names(dribbled) == SERIES
    np.testing.assert_array_equal(dribbled.map("chi").data, whole.map("chi").data)


def test_a_peer_that_only_knocks_is_forgotten(served):
    for end in ("close", "reset"):
        for _ in range(4):  # fewer than the kernel lets wait
            with connected(served.port) as sock:
                ENDS[end](sock)
    assert served.settles()
    assert served.serves()
    assert "Traceback" not in served.log_since()


def large_images(factor=8):
    """The images with so many voxels for each along each axis: 14 MB of maps."""
    header = bombs.sized(*(factor * n for n in reversed(small_scan.MATRIX)))
    sent = []
    for image in small_scan.images():
        data = image.data
        for axis in (1, 2, 3):
            data = data.repeat(factor, axis)
        sent.append(encoded.message(dataclasses.replace(image, data=data)))
    return [CONFIG, small_scan.text(3, header), *sent, small_scan.CLOSE]


def test_a_peer_that_reads_nothing_does_not_keep_the_server(impatient_by):
    """Its maps are larger than what the kernel holds for it."""
    served = impatient_by("serve")
    served.log_since()
    log = []
    with connected(served.port) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.sendall(b"".join(large_images()))
        assert eventually(lambda: log.append(served.log_since()) or "scan gone" in log[-1], 60)
        assert served.settles(within_s=20)  # it also tries to say CLOSE
    assert "the peer has long taken nothing of what it is sent: Image" in "".join(log)
    assert "Traceback" not in "".join(log)
    assert served.serves()
