"""Peers that end, send nonsense or are told of an error."""

from __future__ import annotations

import contextlib
import struct
import threading
import time

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import LINGER_S
from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigText,
    Error,
    HeaderText,
    Text,
)
from gadgetron_qsm.mrd.wire import PeerGone

CLOSE = struct.pack("<H", 4)
CONFIG = ConfigText('<configuration><property name="preset" value="fast"/></configuration>')


def everything(sock):
    """All bytes to the end of the connection."""
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "mrd-reader"]


@pytest.mark.parametrize("half_a_message", [b"", struct.pack("<HI", 5, 10) + b"half"])
def test_a_peer_that_ends_without_close_is_gone_after_its_last_message(
    connected, half_a_message, send
):
    connection, peer = connected
    send(peer, Text("last"))
    peer.sendall(half_a_message)
    peer.close()
    messages = iter(connection)
    assert next(messages) == Text("last")
    with pytest.raises(PeerGone):
        next(messages)


def test_a_dead_peer_is_noticed_soon_and_without_computing(connected):
    connection, peer = connected
    threading.Timer(0.2, peer.close).start()
    start, computed = time.monotonic(), time.process_time()
    with pytest.raises(PeerGone):
        list(connection)
    connection.close()
    assert time.monotonic() - start < LINGER_S
    assert time.process_time() - computed < 0.2
    assert readers() == []


def test_an_error_of_the_peer_is_raised(connected, send):
    connection, peer = connected
    send(peer, Error("out of helium"))
    with pytest.raises(QsmError, match="out of helium"):
        list(connection)


def test_a_second_header_is_refused(connected, send):
    connection, peer = connected
    send(peer, HeaderText("<header/>"))
    with pytest.raises(QsmError, match="HeaderText in the middle"):
        list(connection)


def test_bytes_that_are_no_message_end_the_iteration(connected):
    connection, peer = connected
    peer.sendall(struct.pack("<H", 1012))
    with pytest.raises(QsmError, match="kind 1012"):
        list(connection)


def test_sending_to_a_peer_that_is_gone_says_so(connected, make_acquisition):
    connection, peer = connected
    peer.close()
    readout = make_acquisition(channels=16, samples=1 << 13)
    with pytest.raises(PeerGone, match="Acquisition"):
        _ = [connection.send(readout) for _ in range(100)]


def test_an_error_inside_gadgetron_is_sent_when_all_input_is_read(
    connected, make_acquisition, send
):
    connection, peer = connected
    readout = make_acquisition(channels=16, samples=1 << 13)
    failing = threading.Thread(target=connection.fail_inside_gadgetron, args=["no echo times"])
    failing.start()
    send(peer, *[readout] * 20)
    peer.settimeout(0.3)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    peer.settimeout(10)
    send(peer, Close())
    failing.join(5)
    connection.close()
    assert everything(peer) == struct.pack("<HQ", 8, 13) + b"no echo times" + CLOSE


def test_a_scan_that_is_ended_from_outside_is_told_to_gadgetron_when_all_input_is_read(
    connected, make_acquisition, send
):
    connection, peer = connected
    readout = make_acquisition(channels=16, samples=1 << 13)
    connection.end("too long")
    with pytest.raises(QsmError, match="too long"):
        list(connection)
    failing = threading.Thread(target=connection.fail_inside_gadgetron, args=["too long"])
    failing.start()
    send(peer, *[readout] * 40)  # far more than the kernel buffers
    peer.settimeout(0.3)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    peer.settimeout(10)
    send(peer, Close())
    failing.join(5)
    connection.close()
    assert everything(peer) == struct.pack("<HQ", 8, 8) + b"too long" + CLOSE


def test_a_peer_that_never_stops_sending_does_not_keep_us_from_closing(
    connected, monkeypatch, make_acquisition, send
):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.3)
    connection, peer = connected
    readout = make_acquisition(channels=16, samples=1 << 13)
    ended = threading.Event()

    def flood():
        with contextlib.suppress(OSError):
            while not ended.is_set():
                send(peer, readout)

    flooding = threading.Thread(target=flood)
    flooding.start()
    connection.end("too long")
    closing = threading.Thread(target=connection.fail_as_server, args=["too long"], daemon=True)
    closing.start()
    closing.join(3)
    closed = not closing.is_alive()
    ended.set()
    peer.close()
    flooding.join()
    assert closed
    assert readers() == []


def test_an_error_inside_gadgetron_that_is_gone_is_no_second_error(connected):
    connection, peer = connected
    peer.close()
    connection.fail_inside_gadgetron("no echo times")
    connection.close()
    assert readers() == []


def test_a_fault_of_the_reader_is_raised_where_messages_are_taken_and_not_by_close(
    connected, send, monkeypatch
):
    def broken(*_):
        raise RuntimeError("a fault of ours")

    connection, peer = connected
    monkeypatch.setattr("gadgetron_qsm.mrd.reader.read_message", broken)
    send(peer, Text("first"), Text("second"))  # the reader waits in the unbroken one
    assert connection.peek() == Text("first")
    with pytest.raises(RuntimeError):
        list(connection)
    connection.fail_as_server("why")
    assert readers() == []


def test_an_error_after_bytes_that_are_no_message_waits_until_the_peer_is_silent(connected):
    connection, peer = connected
    nonsense = struct.pack("<H", 1012) + bytes(32 << 20)  # far more than the kernel buffers
    sender = threading.Thread(target=peer.sendall, args=[nonsense])
    sender.start()
    connection.fail_inside_gadgetron("why")
    assert not sender.is_alive()
    assert peer.recv(100) == struct.pack("<HQ", 8, 3) + b"why"


def test_an_error_as_server_reaches_a_client_that_still_sends(connected, make_acquisition, send):
    connection, peer = connected
    readout = make_acquisition(channels=16, samples=1 << 13)
    failing = threading.Thread(target=connection.fail_as_server, args=["no echo times"])
    failing.start()
    send(peer, *[readout] * 40, Close())
    text = b"ERROR   no echo times"
    assert everything(peer) == struct.pack("<HI", 5, len(text)) + text + CLOSE
    failing.join(5)
    assert readers() == []
