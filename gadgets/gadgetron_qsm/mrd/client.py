"""A client: sends a scan to an MRD server over a socket, and yields what comes back."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigFile,
    ConfigText,
    Error,
    HeaderText,
    Message,
    Text,
)
from gadgetron_qsm.mrd.raw import Raw, opened
from gadgetron_qsm.mrd.wire import PeerGone, read_message, write_message

Progress = Callable[[int, int], None]

CONNECT_TIMEOUT_S = 10.0
KEPT_S = 0.1  # that small messages wait for more of them; what is acquired comes slowly
_BUFFER = 1 << 20


def stream(
    path: str | Path,
    host: str,
    port: int,
    config: ConfigFile | ConfigText,
    on_progress: Progress | None = None,
) -> Iterator[Message]:
    """Send a raw file as a scanner would, and yield what the server sends back, to its CLOSE.

    `on_progress(sent, total)` is told of readouts, from another thread. Raises QsmError for a file
    that cannot be read, for a server that is not there, and with the text of any error it reports.
    """
    with opened(path) as raw:
        messages = messages_of(raw, on_progress)
        yield from stream_messages(messages, raw.header_text, host, port, config)


def stream_messages(
    messages: Iterable[Message],
    header_text: str,
    host: str,
    port: int,
    config: ConfigFile | ConfigText,
) -> Iterator[Message]:
    """Send messages, such as images, behind a configuration and a header; otherwise as `stream`."""
    first = [config, HeaderText(header_text)]
    yield from converse(_connect(host, port), first, messages)


def converse(
    sock: socket.socket,
    first: Iterable[Message],
    messages: Iterable[Message],
    give_up: Callable[[], None] | None = None,
) -> Generator[Message, None, None]:
    """Send messages over a connected socket, and yield what comes back; otherwise as `stream`.

    `first` are sent before the others are asked for. `give_up` is called when nobody wants more of
    them; it has to end whoever waits for the next one. The socket is closed at the end.
    """
    sender = _Sender(sock, first, messages)
    incoming = BufferedReader(sock.makefile("rb", buffering=0), _BUFFER)
    try:
        yield from _answers(incoming)
    except PeerGone as error:
        raise sender.error or QsmError(f"the server ended without a result: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # a sender that is not done gives up
        if give_up:
            give_up()
        sender.join()
        incoming.close()
        sock.close()


def messages_of(raw: Raw, on_progress: Progress | None = None) -> Iterator[Message]:
    """Read what a scanner would send: readouts, then waveforms; without readouts, images."""
    sent, total = 0, len(raw)
    for block in raw.blocks():
        yield from block
        sent += len(block)
        if on_progress:
            on_progress(sent, total)
    yield from raw.waveforms()
    if not total:
        yield from raw.images()


class _Sender(threading.Thread):
    """Sends beside the one who reads: a server may answer before the scan is over."""

    def __init__(
        self, sock: socket.socket, first: Iterable[Message], messages: Iterable[Message]
    ) -> None:
        super().__init__(name="mrd-sender", daemon=True)
        self.error: Exception | None = None
        self._socket = sock
        self._parts = (first, messages, [Close()])
        self._flushed = time.monotonic()
        self.start()

    def run(self) -> None:
        """Send all; what cannot be read ends the connection, and is kept as `error`."""
        try:
            buffer = BytesIO()
            for part in self._parts:
                for message in part:
                    write_message(buffer, message)
                    if buffer.tell() >= _BUFFER or time.monotonic() > self._flushed + KEPT_S:
                        buffer = self._flush(buffer)
                buffer = self._flush(buffer)
        except OSError:
            return  # the server has gone; whoever reads from it says so
        except Exception as error:  # to be raised where the answers are read
            self.error = error
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _flush(self, buffer: BytesIO) -> BytesIO:
        self._socket.sendall(buffer.getbuffer())
        self._flushed = time.monotonic()
        return BytesIO()


def _connect(host: str, port: int) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    except OSError as error:
        raise QsmError(f"no MRD server answers at {host}:{port} ({error}); start one") from error
    sock.settimeout(None)
    return sock


def _answers(incoming: BinaryIO) -> Iterator[Message]:
    while not isinstance(message := read_message(incoming), Close):
        if isinstance(message, Error):
            raise QsmError(f"the server reports: {message.text}")
        if isinstance(message, Text) and message.text.startswith("ERROR"):
            raise QsmError(f"the server reports: {message.text.removeprefix('ERROR').strip(' :')}")
        yield message
