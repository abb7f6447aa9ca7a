"""A server whose parent is this process, and clients that talk with it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import Close, ConfigText, HeaderText, Message, Text
from gadgetron_qsm.mrd.server import listen
from gadgetron_qsm.mrd.wire import read_message, write_message
from gadgetron_qsm.server.dispatcher import Dispatcher
from gadgetron_qsm.site_sections import ServerSettings
from tests.server.jobs import Told

HOST, SOON_S = "127.0.0.1", 20.0


class Client:
    """A client of the server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.settimeout(SOON_S)
        self._stream = self.socket.makefile("rwb")

    def send(self, *messages: Message) -> None:
        for message in messages:
            write_message(self._stream, message)
        self._stream.flush()

    def begin(self, *texts: str) -> Client:
        """Begin a scan in which texts say what happens."""
        self.send(ConfigText("<configuration/>"), HeaderText("<header/>"), *map(Text, texts))
        return self

    def said(self) -> str:
        """Return the next text that comes."""
        message = read_message(self._stream)
        assert not isinstance(message, Close)
        return message.text

    def process(self) -> int:
        """Return who serves, who then has the scan in its hands."""
        self.send(Text("say hello"))
        return int(self.said().removeprefix("hello "))

    def finish(self) -> list[str]:
        """End the scan and return the texts that come, to the server's CLOSE and end."""
        self.send(Close())
        return self.rest()

    def rest(self) -> list[str]:
        """Return the texts that come, to the server's CLOSE and end, and end as well."""
        texts = []
        while not isinstance(message := read_message(self._stream), Close):
            texts.append(message.text)
        assert self._stream.read() == b""
        self.close()
        return texts

    def close(self) -> None:
        with contextlib.suppress(OSError):  # of what could not be sent
            self._stream.close()
        self.socket.close()


class Served:
    """A dispatcher that runs in a thread."""

    def __init__(self, job: Told, **settings: Any) -> None:
        self.listener = listen(HOST, 0)
        self.port = self.listener.getsockname()[1]
        self.ready = threading.Event()
        self.dispatcher = Dispatcher(
            self.listener, job, ServerSettings(**settings), ready=self.ready.set
        )
        self.failure: QsmError | None = None
        self.thread = threading.Thread(target=self._run)
        self.clients: list[Client] = []

    def _run(self) -> None:
        try:
            self.dispatcher.run()
        except QsmError as error:
            self.failure = error

    def client(self, *texts: str) -> Client:
        self.clients.append(Client(self.port))
        return self.clients[-1].begin(*texts)

    def processes(self) -> set[int]:
        return {member.process.pid for member in list(self.dispatcher._staff.members)}

    @property
    def busy(self) -> int:
        return len(self.dispatcher._staff.busy)

    @property
    def idle(self) -> int:
        return sum(1 for member in list(self.dispatcher._staff.members) if member.idle)

    def end(self) -> None:
        for client in self.clients:
            client.close()
        self.dispatcher.stop()
        self.dispatcher.stop()
        self.thread.join(SOON_S)
        assert not self.thread.is_alive()
        self.listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """A function that starts a server, and waits until it is ready."""
    started: list[Served] = []

    def start(job: Told | None = None, *, wait: bool = True, **settings: Any) -> Served:
        started.append(Served(job or Told(), **settings))
        started[-1].thread.start()
        assert not wait or started[-1].ready.wait(SOON_S)
        return started[-1]

    yield start
    for served in started:
        served.end()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """A function that waits for a condition."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + SOON_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    return wait


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """A function that tells whether a process has ended, and is no zombie."""
    return lambda process: not Path(f"/proc/{process}").exists()


@pytest.fixture
def descriptors() -> Callable[[], int]:
    """A function that counts the descriptors of this process."""
    return lambda: len(os.listdir("/proc/self/fd"))  # noqa: PTH208
