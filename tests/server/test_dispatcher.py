"""Scans side by side, each in a process of its own; the parent outlives whatever they do."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time

import pytest

from gadgetron_qsm.mrd.messages import Close, ConfigText, Error, HeaderText, Text
from gadgetron_qsm.mrd.wire import PeerGone, read_message, write_message
from gadgetron_qsm.server import dispatcher, door, farewell, staff
from tests.server.dispatching import HOST
from tests.server.jobs import Told


def test_scans_at_once_have_a_process_each(serve, until):
    served = serve(connections=3)
    clients = [served.client() for _ in range(3)]
    processes = [client.process() for client in clients]
    assert len(set(processes)) == 3
    assert os.getpid() not in processes
    for client, process in reversed([*zip(clients, processes, strict=True)]):
        assert client.finish() == [f"{process} 0"]
    until(lambda: served.counts == {"done": 3})


def test_a_process_stays_for_the_next_scan(serve):
    served = serve(connections=1)
    assert len({served.client().finish()[0] for _ in range(5)}) == 1


def test_one_is_kept_ready_beside_those_that_have_a_scan_and_ends_when_it_is_not_needed(
    serve, until, gone, monkeypatch
):
    served = serve(connections=3)
    first = served.processes()
    client = served.client()
    client.process()
    until(lambda: len(served.processes()) == 2)
    until(lambda: served.idle == 1)
    monkeypatch.setattr(staff, "IDLE_S", 0.1)
    everybody = served.processes()
    client.finish()
    until(lambda: len(served.processes()) == 1)
    (ended,) = everybody - served.processes()
    until(lambda: gone(ended))
    assert first < everybody
    assert served.client().finish()


def test_as_many_as_the_settings_say_are_kept_ready(serve, until):
    served = serve(connections=3, warm=2)
    until(lambda: served.idle == 2)
    assert len(served.processes()) == 2


def test_a_client_beyond_the_most_is_told_in_one_line_and_disturbs_nobody(
    serve, until, monkeypatch
):
    monkeypatch.setattr(dispatcher, "BUSY_S", 0.1)
    served = serve(connections=1)
    first = served.client()
    first.process()
    busy = "ERROR   busy: 1 scans run, and no more may; send it again when one has ended"
    for _ in range(3):
        assert served.client().rest() == [busy]
    (last,) = first.finish()
    assert last.endswith(" 0")
    assert served.client().finish()
    until(lambda: served.counts == {"done": 2, "refused": 3})


def test_a_gadgetron_beyond_the_most_is_told_when_it_has_sent_all(serve, until, monkeypatch):
    monkeypatch.setattr(dispatcher, "BUSY_S", 0.1)
    served = serve(Told(inside_gadgetron=True), connections=1)
    first = served.client()
    first.process()
    second = served.client("a", "b")
    until(lambda: served.counts["refused"] == 1)
    second.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        second.socket.recv(1)
    second.socket.settimeout(10)
    second.send(Close())
    with second.socket.makefile("rb") as stream:
        assert isinstance(told := read_message(stream), Error)
        assert isinstance(read_message(stream), Close)
    assert told.text.startswith("busy: 1 scans run")


def test_a_client_whose_process_is_killed_is_told_at_once_and_nobody_else_notices(
    serve, until, gone
):
    served = serve(connections=2)
    victim, other = served.client(), served.client()
    processes = victim.process(), other.process()
    start = time.monotonic()
    os.kill(processes[0], signal.SIGKILL)
    line = "ERROR   the reconstruction came to a sudden end (signal 9, SIGKILL)"
    assert victim.rest() == [line]
    assert time.monotonic() - start < 5
    assert other.finish() == [f"{processes[1]} 0"]
    assert served.client().finish()
    until(lambda: gone(processes[0]))
    until(lambda: served.counts == {"done": 2, "killed": 1})


def test_a_gadgetron_whose_process_is_killed_is_told_when_it_has_sent_all(serve, until):
    served = serve(Told(inside_gadgetron=True))
    client = served.client()
    os.kill(client.process(), signal.SIGKILL)
    until(lambda: served.counts["killed"] == 1)
    for _ in range(5):
        client.send(Text("more of the scan"))
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
    client.socket.settimeout(10)
    client.send(Close())
    with client.socket.makefile("rb") as stream:
        assert isinstance(told := read_message(stream), Error)
        assert isinstance(read_message(stream), Close)
    assert told.text.endswith("(signal 9, SIGKILL)")


def test_a_client_whose_process_died_is_told_how_to_replay_its_scan(serve):
    served = serve(Told(left="its data are kept: gadgetron-qsm replay {process}.h5"))
    client = served.client()
    process = client.process()
    os.kill(int(process), signal.SIGKILL)
    (line,) = client.rest()
    assert line.endswith(f"SIGKILL); its data are kept: gadgetron-qsm replay {process}.h5")


def test_a_disk_that_does_not_answer_keeps_no_client_waiting(monkeypatch):
    monkeypatch.setattr(farewell, "MORE_S", 0.1)
    ours, client = socket.socketpair()
    released = threading.Event()
    farewells = farewell.Farewells(inside_gadgetron=False)
    farewells.tell(ours, "why", read=True, more=lambda: str(released.wait(30)))
    with client, client.makefile("rb") as stream:
        assert read_message(stream) == Text("ERROR   why")
    released.set()
    farewells.wait(5)


def test_a_gadgetron_that_falls_silent_is_told_and_let_go(monkeypatch):
    monkeypatch.setattr(farewell, "SILENCE_S", 0.2)
    ours, gadgetron = socket.socketpair()
    gadgetron.settimeout(10)
    farewells = farewell.Farewells(inside_gadgetron=True)
    with gadgetron, gadgetron.makefile("rwb") as stream:
        for message in (ConfigText("<configuration/>"), HeaderText("<header/>"), Text("a")):
            write_message(stream, message)
        stream.flush()
        farewells.tell(ours, "why", read=False)
        assert read_message(stream) == Error("why")
        assert read_message(stream) == Close()
    farewells.wait(5)


def test_the_one_that_waits_is_replaced_when_it_is_killed(serve, until):
    served = serve(connections=1)
    (process,) = served.processes()
    os.kill(process, signal.SIGKILL)
    until(lambda: process not in served.processes())
    assert served.client().finish()


def test_after_a_fault_another_process_takes_over_and_after_a_refusal_none(serve, until):
    served = serve(connections=1)
    first = served.client()
    process = first.process()
    first.finish()
    assert served.client("refuse no echoes").rest() == ["ERROR   no echoes"]
    assert served.client().finish() == [f"{process} 0"]
    assert served.client("fault in\nus").rest() == ["ERROR   RuntimeError: in us"]
    (last,) = served.client().finish()
    assert last != f"{process} 0"
    until(lambda: served.counts == {"done": 3, "failed": 1, "fault": 1})


def test_who_only_knocks_or_says_nothing_costs_no_process(serve, until, monkeypatch, descriptors):
    monkeypatch.setattr(door, "MOST_SILENT", 3)
    served = serve(connections=1)
    before = descriptors()
    for _ in range(20):
        socket.create_connection((HOST, served.port)).close()
    silent = [socket.create_connection((HOST, served.port)) for _ in range(6)]
    assert [sock.recv(1) for sock in silent[:3]] == [b""] * 3  # room for others
    assert served.client().finish()
    until(lambda: served.counts == {"done": 1})
    for sock in silent:
        sock.close()
    until(lambda: descriptors() == before)


def test_who_says_nothing_is_let_go(serve, monkeypatch):
    monkeypatch.setattr(door, "HEADER_TIMEOUT_S", 0.1)
    served = serve()
    with socket.create_connection((HOST, served.port), 5) as sock:
        assert sock.recv(1) == b""


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_twenty_clients_of_every_kind_leave_no_descriptor_and_no_zombie(
    serve, until, gone, descriptors
):
    served = serve(connections=2)
    served.client().finish()
    until(lambda: served.idle == 2)
    before, seen = descriptors(), set()
    for number in range(20):
        client = served.client(*{0: ["die"], 5: ["fault"], 7: ["refuse it"]}.get(number % 10, []))
        seen |= served.processes()
        if number % 10 == 3:
            reset(client.socket)
            client.close()
        elif number % 5 and number % 10 != 7:
            client.finish()
        else:
            client.rest()
    until(lambda: served.idle == 2)
    until(lambda: descriptors() == before)
    until(lambda: all(gone(process) for process in seen - served.processes()))
    ends = ("done", "killed", "fault", "failed", "refused")
    assert [served.counts[end] for end in ends] == [13, 2, 2, 2, 0]


class Tired:
    """A listener on which the system cannot accept for once."""

    def __init__(self, listener):
        self._listener, self.tired = listener, 1

    def accept(self):
        if self.tired:
            self.tired -= 1
            raise OSError(24, "Too many open files")
        return self._listener.accept()

    def __getattr__(self, name):
        return getattr(self._listener, name)


def test_a_system_that_is_out_of_files_costs_a_wait_and_no_server(serve, monkeypatch, caplog):
    monkeypatch.setattr(door, "REST_S", 0.1)
    served = serve()
    served.dispatcher._door._listener = Tired(served.listener)
    assert served.client().finish()
    assert "no client can be accepted for now: [Errno 24]" in caplog.text


def test_a_fault_of_the_parent_itself_ends_nothing(serve, monkeypatch, caplog):
    served = serve()
    monkeypatch.setattr(
        served.dispatcher._door, "_spoke", lambda client: client.close() or {}["client"]
    )
    client = served.client()
    with pytest.raises(PeerGone):
        client.rest()
    monkeypatch.undo()
    assert served.client().finish()
    assert "goes on after a fault of its own" in caplog.text


TOO_LONG = "ERROR   the scan took longer than 0.3 s (server.longest_s)"


def test_scans_that_take_too_long_are_ended_whether_they_wait_or_compute(serve, until, monkeypatch):
    served = serve(longest_s=0.3)
    assert served.client().rest() == [TOO_LONG]
    monkeypatch.setattr("gadgetron_qsm.server.worker.LAST_S", 0.2)  # here, in the parent
    assert served.client("work 60").rest() == [TOO_LONG]
    until(lambda: served.counts == {"failed": 1, "killed": 1})


def test_a_client_that_is_silent_in_the_scan_is_let_go(serve):
    served = serve(Told(silence_s=0.2))
    (line,) = served.client().rest()
    assert line == "ERROR   the peer sent no more for 0.2 s, and no CLOSE"


def test_a_server_that_can_start_nothing_ends_and_says_so(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(staff, "RETRY_S", 0.01)
    served = serve(Told(broken=tmp_path), wait=False)
    served.thread.join(60)
    assert "no process that serves scans can be started" in str(served.failure)


def no_process(*_):
    raise BlockingIOError(11, "Resource temporarily unavailable")


def test_a_server_that_the_system_gives_no_process_ends_and_says_so(serve, monkeypatch):
    monkeypatch.setattr(staff, "RETRY_S", 0.01)
    monkeypatch.setattr(staff, "Member", no_process)
    served = serve(wait=False)
    served.thread.join(60)
    assert "no process that serves scans can be started" in str(served.failure)


def test_a_client_for_whom_the_system_gives_no_process_is_told(serve, monkeypatch):
    monkeypatch.setattr(staff, "RETRY_S", 0.01)
    served = serve(connections=2)
    monkeypatch.setattr(staff, "Member", no_process)
    first = served.client()
    process = first.process()
    line = "ERROR   the server can start no process for the scan; see its log"
    assert served.client().rest() == [line]
    assert first.finish() == [f"{process} 0"]


def test_processes_that_cannot_start_for_a_while_are_tried_again(
    serve, tmp_path, monkeypatch, until
):
    monkeypatch.setattr(staff, "RETRY_S", 0.01)
    monkeypatch.setattr(staff, "LONGEST_RETRY_S", 0.1)
    broken = tmp_path / "broken"
    served = serve(Told(broken=broken), connections=1)
    broken.touch()
    assert served.client("fault now").rest() == ["ERROR   RuntimeError: now"]
    until(lambda: served.dispatcher._staff.hopeless)
    (line,) = served.client().rest()
    assert line == "ERROR   the server can start no process for the scan; see its log"
    broken.unlink()
    until(lambda: not served.dispatcher._staff.hopeless)
    assert served.client().finish()
