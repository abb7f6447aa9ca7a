from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from gadgetron_qsm.mrd.connection import LINGER_S, Connection
from gadgetron_qsm.mrd.messages import (
    Acquisition,
    Close,
    ConfigFile,
    ConfigText,
    HeaderText,
    Text,
)

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


def fill(sock):
    """Send until no more is taken."""
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(1 << 16), socket.MSG_DONTWAIT)


def test_configuration_header_and_properties_are_there_from_the_start(connected):
    connection, _ = connected
    assert connection.config == CONFIG
    assert connection.header_text == "<header/>"
    assert connection.properties == {"preset": "fast"}


def test_the_name_of_a_configuration_has_no_properties(sockets, send):
    ours, peer = sockets
    send(peer, ConfigFile("qsm"), HeaderText("<header/>"), Close())
    with Connection.open(ours) as connection:
        assert (connection.config, connection.properties) == (ConfigFile("qsm"), {})


def test_a_header_without_a_configuration_will_do(sockets, send):
    ours, peer = sockets
    send(peer, HeaderText("<header/>"), Close())
    with Connection.open(ours) as connection:
        assert (connection.config, connection.header_text) == (None, "<header/>")


def test_messages_are_yielded_until_close(connected, make_acquisition, make_waveform, send):
    connection, peer = connected
    send(peer, Text("{}"), make_acquisition(), make_waveform(), Close())
    kinds = [type(message).__name__ for message in connection]
    assert kinds == ["Text", "Acquisition", "Waveform"]
    assert list(connection) == []


def test_an_iteration_that_was_broken_off_goes_on_where_it_stopped(connected, send):
    connection, peer = connected
    send(peer, Text("a"), Text("b"), Text("c"), Close())
    assert next(iter(connection)) == Text("a")
    assert list(connection) == [Text("b"), Text("c")]


def test_drain_discards_what_is_left_of_the_scan(connected, send):
    connection, peer = connected
    send(peer, Text("a"), Text("b"), Text("c"), Close())
    assert next(iter(connection)) == Text("a")
    connection.drain()
    assert list(connection) == []


def test_a_peer_can_send_all_while_nobody_takes_it(connected, make_acquisition, send):
    connection, peer = connected
    readout = make_acquisition(channels=16, samples=1 << 13)
    many = (64 << 20) // readout.data.nbytes  # far more than the kernel buffers
    send(peer, *[readout] * many, Close())
    assert sum(isinstance(message, Acquisition) for message in connection) == many


def test_close_says_close_once_and_ends_the_thread(connected, send):
    connection, peer = connected
    send(peer, Close())
    connection.send(Text("done"))
    connection.close()
    connection.close()
    assert everything(peer) == struct.pack("<HI", 5, 4) + b"done" + CLOSE
    assert readers() == []


def test_close_ends_a_thread_that_waits_for_bytes(connected, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    connection, _ = connected
    connection.close()
    assert readers() == []


def test_close_ends_a_thread_that_waits_for_room(connected, monkeypatch, make_acquisition, send):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    connection, peer = connected
    connection._reader._inbox._capacity = 1
    send(peer, *[make_acquisition()] * 3)
    connection.close()
    assert readers() == []


def test_a_peer_that_waits_for_our_end_before_its_own_is_not_kept_waiting(connected):
    connection, peer = connected
    closing = threading.Thread(target=connection.close)
    start = time.monotonic()
    closing.start()
    assert everything(peer) == CLOSE
    peer.close()
    closing.join()
    assert time.monotonic() - start < LINGER_S


def test_close_ends_although_the_peer_reads_nothing(connected, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    connection, _ = connected
    for _ in range(5):  # the kernel moves some of it to the other side
        fill(connection._socket)
        time.sleep(0.01)
    closing = threading.Thread(target=connection.close, daemon=True)
    closing.start()
    closing.join(2)
    assert not closing.is_alive()


def test_leaving_the_context_closes(connected, send):
    connection, peer = connected
    send(peer, Close())
    with connection:
        pass
    assert everything(peer) == CLOSE
