"""Scans that cannot be reconstructed and peers that die: one clear line, soon, and no hang."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import time
from io import BytesIO

import numpy as np
import pytest

from gadgetron_qsm.mrd.messages import Acquisition, Close, Error, Text
from gadgetron_qsm.mrd.wire import read_message, write_message

SOON_S = 15.0

# Accepts one connection, sends what comes on stdin, and then only waits.
SILENT_PARENT = """
import socket, sys, time
listener = socket.create_server(("localhost", 0))
print(listener.getsockname()[1], flush=True)
sock, _ = listener.accept()
sock.sendall(sys.stdin.buffer.read())
time.sleep(600)
"""


def edited(stream, edit):
    """The stream with `edit` (a message, or None to leave it out) done to each readout."""
    incoming, outgoing = BytesIO(stream), BytesIO()
    for number, message in enumerate(iter(lambda: read_message(incoming), Close())):
        changed = edit(number, message) if isinstance(message, Acquisition) else message
        if changed is not None:
            write_message(outgoing, changed)
    write_message(outgoing, Close())
    return outgoing.getvalue()


def without_last_partition(_, readout):
    return None if readout.head["idx"]["kspace_encode_step_2"] == 21 else readout


def with_nan(number, readout):
    if number != 600:
        return readout
    data = readout.data.copy()
    data[1, 7] = np.nan
    return dataclasses.replace(readout, data=data)


def with_fewer_coils(number, readout):
    if number < 600:
        return readout
    head = readout.head.copy()
    head["active_channels"] = 3
    return dataclasses.replace(readout, head=head, data=readout.data[:3])


def with_the_last_lines_in_a_second_repetition(number, readout):
    head = readout.head.copy()
    head["idx"]["repetition"] = number > 600
    return dataclasses.replace(readout, head=head)


def outside_the_matrix(number, readout):
    head = readout.head.copy()
    head["idx"]["kspace_encode_step_1"] += 14 * (number > 600)
    return dataclasses.replace(readout, head=head)


BROKEN = [
    (without_last_partition, r"lines are missing"),
    (with_nan, "not finite"),
    (with_fewer_coils, "3 coils, the first one 4"),
    (with_the_last_lines_in_a_second_repetition, "lines are missing"),
    (outside_the_matrix, "line .* lies outside the 28 encoded"),
]


def assert_one_line_says(text, line):
    assert re.search(text, line), line
    assert "\n" not in line
    assert "Traceback" not in line


@pytest.mark.parametrize(("edit", "text"), BROKEN)
def test_gadgetron_is_told_why_after_its_close_and_the_process_fails(gadget, recorded, edit, text):
    stream = edited(recorded("server_acquisitions_r2"), edit)
    process = gadget("qsm")
    process.send(stream[:-2])
    process.sent()
    assert process.silent_for(0.5)  # an answer before the server's CLOSE would crash or lose it
    start = time.monotonic()
    process.send(stream[-2:])
    answer = process.answer()
    assert process.status(within_s=SOON_S) == 1
    assert time.monotonic() - start < SOON_S
    (error,) = answer.messages
    assert isinstance(error, Error)
    assert_one_line_says(text, error.text)
    assert "Traceback" not in process.log


def test_a_resident_process_tells_gadgetron_after_its_close(resident, recorded):
    stream = edited(recorded("server_acquisitions_r2"), with_nan)
    with resident.client() as gadgetron:
        gadgetron.send(stream[:-2])
        gadgetron.sent()
        assert gadgetron.silent_for(0.5)
        gadgetron.send(stream[-2:])
        (error,) = gadgetron.answer().messages
    assert isinstance(error, Error)
    assert_serves(resident, recorded)


@pytest.mark.parametrize(("edit", "text"), BROKEN)
def test_a_client_is_told_why_and_the_next_is_served(server, recorded, edit, text):
    with server.client() as peer:
        peer.send(edited(recorded("client_gadgetron"), edit))
        peer.sent()
        start = time.monotonic()
        answer = peer.answer()
        assert time.monotonic() - start < SOON_S
    (told,) = answer.messages
    assert isinstance(told, Text)
    assert_one_line_says(rf"^ERROR   .*{text}", told.text)
    assert_serves(server, recorded)


def assert_serves(server, recorded):
    with server.client() as peer:
        peer.send(recorded("server_images_r2"))
        assert peer.answer().map("chi").data.any()


@pytest.mark.parametrize("end", ["close", "die"])
def test_a_server_that_ends_in_the_scan_ends_the_gadget(gadget, recorded, end):
    process = gadget("qsm")
    process.send(recorded("server_acquisitions_r2")[:1_000_000])
    assert process.becomes_idle()
    getattr(process, end)()
    assert process.status(within_s=SOON_S) == 1
    assert_one_error(process.log)


def test_a_server_that_ends_when_it_has_sent_the_scan_fails_the_gadget(gadget, recorded):
    stream = recorded("server_acquisitions_r2")
    process = gadget("qsm")
    process.send(stream[:-2])
    assert process.becomes_idle()
    process.send(stream[-2:])
    process.die()
    assert process.status(within_s=SOON_S) == 1
    assert_one_error(process.log)


def assert_one_error(log):
    errors = [line for line in log.splitlines() if " ERROR " in line]
    assert len(errors) == 1
    assert "Traceback" not in log


def test_a_gadget_waits_idle_and_ends_when_its_parent_is_killed(gadget, recorded):
    with subprocess.Popen(
        [sys.executable, "-c", SILENT_PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        port = int(parent.stdout.readline())
        process = gadget("qsm", port=port)
        parent.stdin.write(recorded("server_acquisitions_r2")[:1_000_000])
        parent.stdin.close()
        assert process.becomes_idle()
        parent.kill()
        assert process.status(within_s=SOON_S) == 1
    assert_one_error(process.log)


@pytest.mark.parametrize("end", ["close", "die"])
def test_a_client_that_ends_in_the_scan_is_forgotten_and_the_next_is_served(server, recorded, end):
    with server.client() as peer:
        peer.send(recorded("client_gadgetron")[:1_000_000])
        peer.sent()
        getattr(peer, end)()
    start = time.monotonic()
    assert_serves(server, recorded)
    assert time.monotonic() - start < SOON_S
    assert_log_has_one_line_an_event(server.log)


def assert_log_has_one_line_an_event(log):
    other = [line for line in log.splitlines() if not re.match(r"\S+Z (INFO|ERROR) \d+ ", line)]
    assert other == []
