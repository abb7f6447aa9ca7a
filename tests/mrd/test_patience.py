"""Peers that fall silent, dribble, or never say CLOSE."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import struct
import threading
import time

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.handshake import NoScan
from gadgetron_qsm.mrd.incoming import Incoming
from gadgetron_qsm.mrd.messages import Close, HeaderText, Text
from gadgetron_qsm.mrd.primitives import Silence
from gadgetron_qsm.mrd.reader import LAST_IN_MEASUREMENT
from gadgetron_qsm.mrd.wire import NoClose, PeerGone
from tests import encoded

HALF = struct.pack("<HI", 5, 10) + b"half"


@pytest.fixture
def opened(sockets, send, monkeypatch):
    """A function that opens a connection with a patience, and gives it and the peer's socket."""
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    ours, peer = sockets
    connections = []

    def start(**patience):
        send(peer, HeaderText("<header/>"))
        connections.append(Connection.open(ours, **patience))
        return connections[0], peer

    yield start
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("part", [b"", HALF[:1], HALF[:4], HALF])
def test_a_peer_that_shuts_down_without_close_is_gone_and_between_messages_has_no_close(
    opened, send, part
):
    connection, peer = opened()
    send(peer, Text("last"))
    peer.sendall(part)
    peer.shutdown(socket.SHUT_WR)
    messages = iter(connection)
    assert next(messages) == Text("last")
    with pytest.raises(PeerGone) as gone:
        next(messages)
    assert (gone.type is NoClose) == (part == b"")
    connection.send(Text("still there"))
    assert peer.recv(6) == struct.pack("<HI", 5, 11)


@pytest.mark.parametrize(("part", "kind"), [(b"", NoClose), (HALF, PeerGone)])
def test_a_peer_that_is_silent_for_too_long_is_gone(opened, part, kind):
    connection, peer = opened(silence_s=0.2)
    peer.sendall(part)
    start = time.monotonic()
    with pytest.raises(PeerGone, match=r"sent no more for 0\.2 s") as gone:
        list(connection)
    assert isinstance(gone.value, kind)
    assert 0.1 < time.monotonic() - start < 5


def test_bytes_that_come_one_by_one_are_no_silence(opened):
    connection, peer = opened(silence_s=1.0)

    def dribble():
        for byte in HALF + b"behind" + struct.pack("<H", 4):
            peer.sendall(bytes([byte]))
            time.sleep(0.08)

    sending = threading.Thread(target=dribble)
    sending.start()
    assert list(connection) == [Text("halfbehind"[:10])]
    sending.join()


def test_a_header_that_dribbles_for_ever_is_given_up(sockets, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    ours, peer = sockets
    ended = threading.Event()

    def dribble():
        with contextlib.suppress(OSError):
            peer.sendall(struct.pack("<HI", 3, 1000))
            while not ended.wait(0.01):
                peer.sendall(b" ")

    sending = threading.Thread(target=dribble)
    sending.start()
    start = time.monotonic()
    with pytest.raises(NoScan):
        Connection.open(ours, header_timeout_s=0.3)
    assert time.monotonic() - start < 5
    ended.set()
    sending.join()


@pytest.mark.parametrize("last", [True, False])
def test_behind_the_last_readout_silence_is_soon_the_end(opened, make_acquisition, send, last):
    connection, peer = opened(silence_s=30, after_last_s=0.1)
    readout = make_acquisition()
    head = readout.head.copy()
    head["flags"] = LAST_IN_MEASUREMENT if last else 0
    send(peer, dataclasses.replace(readout, head=head))
    messages = iter(connection)
    next(messages)
    if last:
        with pytest.raises(NoClose):
            next(messages)
    else:
        threading.Timer(0.4, send, [peer, Close()]).start()
        assert list(messages) == []


def test_a_peer_that_takes_nothing_is_gone(opened, make_acquisition):
    connection, _ = opened(silence_s=0.2)
    readout = make_acquisition(channels=16, samples=1 << 13)
    start = time.monotonic()
    with pytest.raises(PeerGone, match=r"taken nothing .* Acquisition$"):
        _ = [connection.send(readout) for _ in range(100)]
    assert time.monotonic() - start < 5


def test_behind_half_an_image_nothing_is_sent(opened, make_acquisition):
    connection, peer = opened(silence_s=0.2)
    readout = make_acquisition(channels=64, samples=1 << 15)  # far more than the kernel buffers
    with pytest.raises(PeerGone):
        connection.send(readout)
    sending = threading.Thread(target=connection.fail_as_server, args=["why"])
    sending.start()
    parts = []
    while part := peer.recv(1 << 16):
        parts.append(part)
    sending.join()
    assert encoded.message(readout).startswith(b"".join(parts))


def test_another_thread_can_end_a_scan_that_waits_for_more(opened):
    connection, _ = opened()
    threading.Timer(0.1, connection.end, ["the server stops"]).start()
    with pytest.raises(QsmError, match="the server stops") as ended:
        list(connection)
    assert not isinstance(ended.value, PeerGone)


def test_messages_of_several_threads_come_whole(opened, answers):
    connection, peer = opened()
    texts = [Text(letter * 100_000) for letter in "abcd"]
    threads = [
        threading.Thread(target=lambda text=text: [connection.send(text) for _ in range(20)])
        for text in texts
    ]
    for thread in threads:
        thread.start()
    closing = threading.Thread(target=lambda: [t.join() for t in threads] and connection.close())
    closing.start()
    assert sorted(m.text for m in answers(peer)) == sorted(t.text for t in texts for _ in range(20))
    closing.join()


def test_what_comes_when_patience_has_ended_is_not_taken(sockets):
    ours, peer = sockets
    peer.sendall(b"late")
    assert ours.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL) == b"late"
    incoming = Incoming(ours)
    incoming.end = time.monotonic() - 1
    with pytest.raises(Silence):
        incoming.read(4)
    incoming.end = time.monotonic() + 1
    assert incoming.read(4) == b"late"
