"""Over real sockets on loopback: our server, and clients that fail."""

from __future__ import annotations

import logging
import socket
import struct
import time

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.client import stream
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.mrd.messages import ConfigText, Error, Text
from gadgetron_qsm.mrd.wire import PeerGone
from gadgetron_qsm.server.serving import listen
from gadgetron_qsm.site import scans

HOST = "127.0.0.1"
CONFIG = ConfigText("<configuration/>")


@pytest.mark.parametrize("name", ["client_gadgetron", "client_python_ismrmrd_server"])
def test_what_real_clients_sent_is_served(serving, recorded, name, echo, answers):
    port = serving(echo)
    with socket.create_connection((HOST, port)) as sock:
        sock.sendall(recorded(name))
        assert answers(sock) == [Text("1172 readouts")]


def test_one_scan_after_another_is_served(serving, raw_file, echo):
    port = serving(echo)
    for _ in range(3):
        assert list(stream(raw_file, HOST, port, CONFIG)) == [Text("1880 readouts")]


def test_a_server_waits_for_the_next_scan(serving, raw_file, echo):
    port = serving(echo)
    time.sleep(0.5)  # longer than it looks for a stop
    assert list(stream(raw_file, HOST, port, CONFIG)) == [Text("1880 readouts")]


def fail(_):
    raise QsmError("no echo times")


def crash(_):
    return {}["echo"]


@pytest.mark.parametrize(
    ("handler", "text"),
    [(fail, "reports: no echo times"), (crash, "reports: KeyError: 'echo'")],
)
def test_what_a_handler_raises_the_client_is_told(serving, raw_file, handler, text):
    port = serving(handler)
    for _ in range(2):  # and the next one is served
        with pytest.raises(QsmError, match=text):
            list(stream(raw_file, HOST, port, CONFIG))


def test_a_gadgetron_is_told_in_its_own_way(serving, recorded, answers):
    port = serving(fail, fail=Connection.fail_inside_gadgetron)
    with socket.create_connection((HOST, port)) as sock:
        sock.sendall(recorded("server_acquisitions_r2"))
        assert answers(sock) == [Error("no echo times")]


def test_a_refused_header_is_told_to_a_gadgetron_in_its_own_way_and_counts(
    serving, recorded, answers, echo
):
    summaries = []
    with scans.listening(summaries.append):
        port = serving(echo, fail=Connection.fail_inside_gadgetron)
        with socket.create_connection((HOST, port)) as sock:
            sock.sendall(struct.pack("<HI", 5, 3) + b"log" + recorded("server_acquisitions_r2"))
            (error,) = answers(sock)
    assert isinstance(error, Error)
    assert error.text == "the client sent TEXT where the MRD header must be"
    assert [(summary.outcome, summary.error) for summary in summaries] == [("failed", error.text)]


def test_a_fault_is_logged_with_its_traceback_and_a_refusal_in_one_line(serving, raw_file, caplog):
    for handler, has_traceback in ((fail, False), (crash, True)):
        caplog.clear()
        with pytest.raises(QsmError):
            list(stream(raw_file, HOST, serving(handler), CONFIG))
        assert [bool(record.exc_info) for record in caplog.records] == [has_traceback]
        assert caplog.records[0].levelno == logging.ERROR


def test_a_client_that_dies_in_the_scan_is_gone_and_the_next_is_served(
    serving, recorded, echo, answers
):
    ended = []

    def handler(connection):
        try:
            echo(connection)
        except PeerGone:
            ended.append(time.monotonic())
            raise

    port = serving(handler)
    with socket.create_connection((HOST, port)) as sock:
        sock.sendall(recorded("client_gadgetron")[:1_000_000])
    died = time.monotonic()
    with socket.create_connection((HOST, port)) as sock:
        sock.sendall(recorded("client_gadgetron"))
        assert answers(sock) == [Text("1172 readouts")]
    assert len(ended) == 1
    assert ended[0] - died < 5


def test_a_silent_client_does_not_keep_the_next_waiting(serving, raw_file, monkeypatch, echo):
    monkeypatch.setattr("gadgetron_qsm.mrd.connection.LINGER_S", 0.1)
    port = serving(echo, header_timeout_s=0.2)
    start = time.monotonic()
    with socket.create_connection((HOST, port)):
        assert list(stream(raw_file, HOST, port, CONFIG)) == [Text("1880 readouts")]
    assert time.monotonic() - start < 3


def test_a_client_that_only_knocks_is_no_error(serving, raw_file, caplog, echo):
    port = serving(echo)
    socket.create_connection((HOST, port)).close()
    assert list(stream(raw_file, HOST, port, CONFIG)) == [Text("1880 readouts")]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_garbage_is_answered_with_an_error_and_the_next_is_served(serving, raw_file, echo, answers):
    port = serving(echo)
    with socket.create_connection((HOST, port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        (answer,) = answers(sock)
    assert answer.text.startswith("ERROR   ")
    assert list(stream(raw_file, HOST, port, CONFIG)) == [Text("1880 readouts")]


def test_a_port_in_use_is_refused(serving, echo):
    port = serving(echo)
    with pytest.raises(QsmError, match=f"cannot listen on 127.0.0.1:{port}"):
        listen(HOST, port)
