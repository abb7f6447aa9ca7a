"""A server whose parent is this process, and clients that talk with it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from typing import Any

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import Close, ConfigText, HeaderText, Message, Text
from gadgetron_qsm.mrd.wire import read_message, write_message
from gadgetron_qsm.server.dispatcher import Dispatcher
from gadgetron_qsm.server.serving import listen
from gadgetron_qsm.site import scans
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


class Dispatching:
    """A dispatcher that runs in a thread."""

    def __init__(self, job: Told, **settings: Any) -> None:
        self.listener = listen(HOST, 0)
        self.port = self.listener.getsockname()[1]
        self.ready = threading.Event()
        self.dispatcher = Dispatcher(
            self.listener, job, ServerSettings(**settings), ready=self.ready.set
        )
        self.failure: QsmError | None = None
        self.counts: Counter[str] = Counter()  # of scans, by what became of them
        self.thread = threading.Thread(target=self._run)
        self.clients: list[Client] = []

    def _run(self) -> None:
        try:
            with scans.listening(lambda summary: self.counts.update([summary.outcome])):
                self.dispatcher.run()
        except QsmError as error:
            self.failure = error

    def client(self, *texts: str) -> Client:
        self.clients.append(Client(self.port))
        return self.clients[-1].begin(*texts)

    def processes(self) -> set[int]:
        numbers = set()
        for member in list(self.dispatcher._staff.members):
            with contextlib.suppress(ValueError):  # of one that was collected meanwhile
                numbers.add(member.process.pid)
        return numbers

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
