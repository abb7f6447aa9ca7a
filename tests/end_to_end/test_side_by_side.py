"""Scans of two patients at once, clients of odd habits, and a server that is stopped or maimed."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO

import numpy as np
import pytest

from gadgetron_qsm.mrd.messages import Acquisition, Close, ConfigText
from gadgetron_qsm.mrd.wire import read_message, write_message
from tests.end_to_end.peers import Peer

FAST = '<configuration><property name="preset" value="fast"/></configuration>'
NOISE = 1 << 18


def as_fast(stream, keep=lambda _: True, config=FAST):
    """The recorded stream with the preset 'fast', and with the readouts to keep."""
    incoming, outgoing = BytesIO(stream), BytesIO()
    for message in iter(lambda: read_message(incoming), Close()):
        if isinstance(message, Acquisition) and not keep(message):
            continue
        write_message(outgoing, ConfigText(config) if isinstance(message, ConfigText) else message)
    write_message(outgoing, Close())
    return outgoing.getvalue()


@pytest.fixture(scope="module")
def fast(recorded):
    return as_fast(recorded("client_gadgetron"))


def test_eight_scans_at_once_give_the_maps_that_each_gives_alone(started, fast):
    server = started(server__connections=8)

    with server.client() as peer:
        peer.send(fast)
        alone = peer.answer()
    assert [volume.name for volume in alone.maps] == ["chi", "r2star", *["magnitude"] * 3]
    with ExitStack() as stack, ThreadPoolExecutor(8) as readers:
        peers = [stack.enter_context(server.client()) for _ in range(8)]
        for peer in peers:
            peer.send(fast[:1_000_000])
        with_a_scan(server, 8)
        for peer in peers:
            peer.sent()
            peer.send(fast[1_000_000:])
        answers = list(readers.map(Peer.answer, peers))
    for answer in answers:
        assert answer.refusals == []
        assert [volume.name for volume in answer.maps] == [volume.name for volume in alone.maps]
        for ours, its in zip(answer.maps, alone.maps, strict=True):
            np.testing.assert_allclose(ours.data, its.data, rtol=1e-4, atol=1e-2)


def test_a_process_killed_in_the_scan_costs_this_scan_alone(started, fast):
    server = started(server__connections=2)
    with ExitStack() as stack:
        first, second = (stack.enter_context(server.client()) for _ in range(2))
        first.send(fast[:1_000_000])
        first.sent()
        (process,) = with_a_scan(server, 1)
        second.send(fast[:1_000_000])
        second.sent()
        with_a_scan(server, 2)
        os.kill(process, signal.SIGKILL)
        told = first.answer()
        second.send(fast[1_000_000:])
        answer = second.answer()
    (line,) = told.refusals
    assert line == "ERROR   the reconstruction came to a sudden end (signal 9, SIGKILL)"
    assert answer.refusals == []
    assert answer.map("chi").data.any()
    with server.client() as peer:
        peer.send(fast)
        assert peer.answer().map("chi").data.any()


def with_a_scan(server, scans):
    """Wait until so many workers have a client's socket; return their numbers."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = server.with_a_scan()
        if len(found) == scans:
            return found
        time.sleep(0.05)
    pytest.fail(f"{found} have a scan, and not {scans}")


def test_a_stop_in_the_middle_of_a_scan_finishes_it(started, fast):
    server = started()
    with server.client() as peer:
        peer.send(fast[:1_000_000])
        peer.sent()
        with_a_scan(server, 1)
        server.process.terminate()
        end = time.monotonic() + 10
        while _listens(server.port) and time.monotonic() < end:
            time.sleep(0.05)
        assert not _listens(server.port)
        peer.send(fast[1_000_000:])
        answer = peer.answer()
    assert answer.refusals == []
    assert answer.map("chi").data.any()
    assert server.process.wait(20) == 0
    assert server.workers() == []


def _listens(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("shut_down", [True, False])
def test_a_client_without_close_gets_its_series_if_it_shuts_down_or_falls_silent(
    started, fast, shut_down
):
    server = started(server__silence_s=1)
    with server.client() as peer:
        peer.send(fast[:-2])
        peer.sent()
        if shut_down:
            peer.socket.shutdown(socket.SHUT_WR)
        answer = peer.answer()
    assert answer.refusals == []
    assert answer.map("chi").data.any()
    (line,) = answer.warnings
    assert line.startswith("WARNING taken as the end of the scan: the peer ")


def test_a_client_that_stops_between_messages_in_the_middle_is_told_what_is_missing(server, fast):
    with server.client() as peer:
        cut = as_fast(fast, keep=lambda readout: readout.head["idx"]["kspace_encode_step_2"] < 15)
        peer.send(cut[:-2])
        peer.sent()
        peer.socket.shutdown(socket.SHUT_WR)
        answer = peer.answer()
    assert answer.maps == []
    (line,) = answer.refusals
    assert "lines are missing" in line


def test_what_the_chain_warns_of_is_told_to_the_client_beside_its_series(server, fast):
    with server.client() as peer:
        peer.send(as_fast(fast, keep=lambda readout: not int(readout.head["flags"]) & NOISE))
        answer = peer.answer()
    assert answer.map("chi").data.any()
    assert answer.refusals == []
    assert any("no noise readouts" in line for line in answer.warnings)
