"""What a client says first, or says in its place."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.handshake import MOST_QUERIES, NoScan
from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigText,
    HeaderText,
    MessageId,
    Query,
    Response,
    Text,
)
from gadgetron_qsm.mrd.wire import read_message

CLOSE = struct.pack("<H", 4)
CONFIG = ConfigText('<configuration><property name="preset" value="fast"/></configuration>')
VERSION = "gadgetron::version"


def everything(sock):
    """All bytes to the end of the connection."""
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "mrd-reader"]


@pytest.mark.parametrize("messages", [[], [CONFIG], [CONFIG, Close()]])
def test_a_client_without_a_header_is_let_go_quietly(sockets, messages, send):
    ours, peer = sockets
    send(peer, *messages)
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(NoScan):
        Connection.open(ours)
    assert everything(peer) == CLOSE
    assert readers() == []


def test_a_silent_client_is_let_go_after_the_timeout(sockets, monkeypatch, send):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    ours, peer = sockets
    send(peer, CONFIG)
    start = time.monotonic()
    with pytest.raises(NoScan):
        Connection.open(ours, header_timeout_s=0.2)
    assert time.monotonic() - start < 2
    assert readers() == []


def test_the_timeout_for_the_header_is_none_for_the_scan(sockets, send):
    ours, peer = sockets
    send(peer, HeaderText("<header/>"))
    with Connection.open(ours, header_timeout_s=1) as connection:
        threading.Timer(1.5, send, [peer, Text("late"), Close()]).start()
        assert list(connection) == [Text("late")]


def test_a_client_that_sends_something_else_is_told(sockets, make_acquisition, send):
    ours, peer = sockets
    send(peer, CONFIG, make_acquisition(), Close())
    with pytest.raises(QsmError, match="ACQUISITION where the MRD header must be"):
        Connection.open(ours)
    with peer.makefile("rb") as stream:
        assert read_message(stream).text.startswith("ERROR   the client sent ACQUISITION")
        assert read_message(stream) == Close()


@pytest.mark.parametrize(
    "kind", [MessageId.IMAGE, MessageId.BUCKET, MessageId.TEXT, MessageId.RESPONSE]
)
def test_of_what_comes_where_the_header_must_be_no_more_than_the_kind_is_waited_for(
    sockets, kind, monkeypatch
):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    ours, peer = sockets
    peer.sendall(struct.pack("<H", kind))
    with pytest.raises(QsmError, match=f"{kind.name} where the MRD header must be"):
        Connection.open(ours)


def test_nothing_is_made_of_what_comes_behind_a_refused_beginning(
    sockets, send, make_acquisition, monkeypatch
):
    ours, peer = sockets
    came = []
    monkeypatch.setattr("gadgetron_qsm.mrd.reader.read_message", came.append)
    send(peer, make_acquisition(), Text("a"))
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(QsmError):
        Connection.open(ours)
    assert came == []
    assert everything(peer).endswith(CLOSE)


def test_queries_are_answered_up_to_a_number(sockets, send, answers, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    ours, peer = sockets
    send(peer, *(Query(number, VERSION) for number in range(MOST_QUERIES + 50)))
    with pytest.raises(QsmError, match="queries and no scan"):
        Connection.open(ours)
    *answered, error = answers(peer)
    assert [message.number for message in answered] == [*range(MOST_QUERIES)]
    assert isinstance(answered[0], Response)
    assert error.text.startswith("ERROR   the client sent more than")


def test_a_query_without_end_is_refused(sockets, send, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    ours, peer = sockets
    send(peer, Query(1, "x" * 2000))
    with pytest.raises(QsmError, match="a query announces a size of 2000"):
        Connection.open(ours)


def test_a_client_that_takes_no_answers_is_let_go(sockets, send, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    monkeypatch.setattr("gadgetron_qsm.mrd.handshake.answer", lambda _: "x" * (8 << 20))
    ours, peer = sockets
    send(peer, *[Query(1, VERSION)] * 3)
    start = time.monotonic()
    with pytest.raises(NoScan):
        Connection.open(ours, header_timeout_s=0.2)
    assert time.monotonic() - start < 5


def test_the_patience_of_the_handshake_is_not_that_of_the_scan(sockets, send):
    ours, peer = sockets
    send(peer, HeaderText("<header/>"), Close())
    with Connection.open(ours, header_timeout_s=1) as connection:
        assert connection.header_text == "<header/>"
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16) == bytes(16)
