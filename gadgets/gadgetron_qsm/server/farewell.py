"""Clients that are told why there is no result, while the server goes on."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import LINGER_S, Connection
from gadgetron_qsm.mrd.messages import Close, Error, Message, Text
from gadgetron_qsm.mrd.wire import write_message

log = logging.getLogger(__name__)

MOST = 64  # clients that are told at once; others find their connection closed
CLOSE, QUERY = b"\x04\x00", b"\x06\x00"  # how these messages begin
MORE_S = 3.0  # that a client waits to be told how to replay its scan
CLOSED_S, SILENCE_S = 1.0, 5.0  # of silence: behind what may be CLOSE, and behind anything else
_BUFFER = 1 << 16


class Farewells:
    """Tells clients in the background, each from a thread of its own."""

    def __init__(self, *, inside_gadgetron: bool) -> None:
        self._inside_gadgetron = inside_gadgetron
        self._threads: list[threading.Thread] = []

    def tell(
        self, client: socket.socket, line: str, *, read: bool, more: Callable[[], str] = str
    ) -> None:
        """Tell a client a line, and what `more` returns if that is soon, and close.

        `read` is whether somebody has read of what it sends. A Gadgetron is told when it has sent
        all: before that it would crash, or not listen.
        """
        tell = _tell_client
        if self._inside_gadgetron:
            tell = _tell_gadgetron if read else _tell_new_gadgetron
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MOST:
            client.close()
            return
        thread = threading.Thread(target=_run, args=(tell, client, line, more), daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until all are told, or for some seconds."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))


def _run(
    tell: Callable[[socket.socket, str], None],
    client: socket.socket,
    line: str,
    more: Callable[[], str],
) -> None:
    with client, contextlib.suppress(OSError, QsmError):
        tell(client, "; ".join(filter(None, (line, _soon(more)))))


def _soon(ask: Callable[[], str]) -> str:
    """Return an answer; nothing when there is none in time, as of a disk that does not answer."""
    answers: SimpleQueue[str] = SimpleQueue()

    def run() -> None:
        try:
            answers.put(ask())
        except QsmError as error:
            log.warning("%s", error)
            answers.put("")

    threading.Thread(target=run, daemon=True).start()
    try:
        return answers.get(timeout=MORE_S)
    except Empty:
        return ""


def _tell_client(client: socket.socket, line: str) -> None:
    _send(client, Text(f"ERROR   {line}"), Close())
    client.shutdown(socket.SHUT_WR)
    end = time.monotonic() + LINGER_S  # closed with bytes unread, it would throw away ours
    while (left := end - time.monotonic()) > 0:
        client.settimeout(left)
        if not client.recv(_BUFFER):
            return


def _tell_gadgetron(client: socket.socket, line: str) -> None:
    """Tell one of whose stream nobody knows where a message begins: when it is silent."""
    last = b""
    client.settimeout(SILENCE_S)
    with contextlib.suppress(TimeoutError):
        while data := client.recv(_BUFFER):
            last = (last + data)[-len(CLOSE) :]
            client.settimeout(CLOSED_S if last == CLOSE else SILENCE_S)
    _send(client, Error(line), Close())
    client.shutdown(socket.SHUT_WR)


def _tell_new_gadgetron(client: socket.socket, line: str) -> None:
    if client.recv(len(QUERY), socket.MSG_PEEK) == QUERY:  # its answer would be that all is well
        _tell_client(client, line)
        return

    def tell(connection: Connection, _: object = None) -> None:
        connection.fail_inside_gadgetron(line)

    with Connection.open(client, refuse=tell, silence_s=SILENCE_S) as connection:
        tell(connection)


def _send(client: socket.socket, *messages: Message) -> None:
    client.settimeout(LINGER_S)
    with client.makefile("wb") as stream:
        for message in messages:
            write_message(stream, message)
