"""Signals to the server's process: scans that run are finished, or told; nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server.dispatching import HOST, SOON_S, Client

SCRIPT = """
import sys
from gadgetron_qsm.server import worker
from gadgetron_qsm.server.command import run
from gadgetron_qsm.site_sections import ServerSettings
from tests.server.jobs import Told

worker.LAST_S = 0.3
run("127.0.0.1", 0, Told(), ServerSettings(grace_s=float(sys.argv[1])),
    ready=lambda port: print(port, flush=True))
print("ended")
"""


class Program:
    """A server in a process of its own, and of a group of its own."""

    def __init__(self, folder: Path, grace_s: float) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(grace_s)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            cwd=folder, start_new_session=True,
        )  # fmt: skip
        self.port = int(self.process.stdout.readline())

    def client(self, *texts: str) -> Client:
        return Client(self.port).begin(*texts)

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex((HOST, self.port)) == 0

    def ended(self) -> tuple[int, str]:
        """Return the status, and what it printed."""
        out, _ = self.process.communicate(timeout=SOON_S)
        return self.process.returncode, out

    def others(self) -> set[int]:
        """Return the other processes of its group."""
        return processes_of(self.process.pid) - {self.process.pid}


def processes_of(group: int) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # of one that has just ended
            state, _, its_group, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            found |= {int(folder.name)} if int(its_group) == group and state != "Z" else set()
    return found


@pytest.fixture
def program(tmp_path):
    started = []

    def start(grace_s=30.0):
        started.append(Program(tmp_path, grace_s))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_scan_end_and_takes_no_other(program, until, number):
    server = program()
    client = server.client()
    process = client.process()
    server.process.send_signal(number)
    until(lambda: not server.listens())
    assert client.finish() == [f"{process} 0"]
    assert server.ended() == (0, "ended\n")
    until(lambda: not server.others())


def test_a_signal_to_everybody_as_of_a_terminal_is_the_parents_matter(program, until):
    server = program()
    client = server.client()
    process = client.process()
    os.killpg(server.process.pid, signal.SIGINT)
    until(lambda: not server.listens())
    assert client.finish() == [f"{process} 0"]
    assert server.ended() == (0, "ended\n")


def test_without_a_scan_a_signal_ends_the_server_at_once(program, until):
    server = program()
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.ended() == (0, "ended\n")
    assert time.monotonic() - start < 5
    until(lambda: not server.others())


@pytest.mark.parametrize("texts", [(), ("work 60",)], ids=["waits", "computes"])
def test_a_scan_that_does_not_end_in_time_is_told_and_ended(program, until, texts):
    server = program(grace_s=0.3)
    client = server.client("say hello", *texts)
    client.said()
    server.process.send_signal(signal.SIGTERM)
    assert client.rest() == ["ERROR   the server was stopped"]
    assert server.ended() == (0, "ended\n")
    until(lambda: not server.others())


def test_a_second_signal_ends_all_at_once_and_clients_are_told(program, until):
    server = program()
    client = server.client("say hello", "work 60")
    client.said()
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    until(lambda: not server.listens())
    server.process.send_signal(signal.SIGTERM)
    assert client.rest() == ["ERROR   the server was stopped"]
    assert server.ended() == (0, "ended\n")
    assert time.monotonic() - start < 5


def test_when_the_parent_is_killed_its_workers_end_and_tell_their_clients(program, until):
    server = program()
    client = server.client()
    client.process()
    until(lambda: len(server.others()))
    server.process.kill()
    assert client.rest() == ["ERROR   the server has ended"]
    until(lambda: not server.others())
