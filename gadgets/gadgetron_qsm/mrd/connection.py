"""One peer on a socket: it sends a scan, we send back series, texts and errors."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from io import BytesIO
from types import TracebackType
from typing import Any, BinaryIO

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.handshake import NoScan, handshake
from gadgetron_qsm.mrd.incoming import Incoming, buffered, limit_sending
from gadgetron_qsm.mrd.limits import Limits
from gadgetron_qsm.mrd.messages import (
    Acquisition,
    Bucket,
    Close,
    ConfigFile,
    ConfigText,
    DicomFile,
    Error,
    HeaderText,
    Image,
    ImageArray,
    Message,
    Query,
    ReconData,
    Response,
    Text,
    Waveform,
)
from gadgetron_qsm.mrd.properties import read_properties
from gadgetron_qsm.mrd.reader import Reader
from gadgetron_qsm.mrd.traffic import Traffic
from gadgetron_qsm.mrd.wire import PeerGone, write_message

Refuse = Callable[["Connection", QsmError], None]
Data = Acquisition | Waveform | Image | DicomFile | Bucket | ReconData | ImageArray | Text

HEADER_TIMEOUT_S = 30.0
LINGER_S = 5.0  # how long a peer that still sends may go on after our CLOSE


class Connection:
    """A connected peer; a thread reads ahead, one other thread iterates and closes. Any may send.

    `config` is what the peer configured us with and `header_text` its MRD header, both as sent.
    Iterating yields what follows, until CLOSE. A peer that ends without CLOSE raises PeerGone, of
    which NoClose is one that ends, or falls silent, behind a whole message.
    `traffic` counts what came and went.
    """

    def __init__(
        self,
        sock: socket.socket,
        raw: Incoming,
        incoming: BinaryIO,
        config: ConfigFile | ConfigText | None,
        header_text: str,
        *,
        after_last_s: float | None = None,
        readable: bool = True,
    ) -> None:
        """`incoming` is `raw`, buffered; after_last_s: see `open`.

        readable: whether what is to come makes sense; else it is discarded, unseen.
        """
        self.config = config
        self.header_text = header_text
        self.traffic = Traffic()
        self._socket, self._sending, self._broken = sock, threading.Lock(), False
        self._taken: deque[Message] = deque()
        limits = Limits.of_header(header_text) if readable else None
        self._reader = Reader(raw, incoming, limits, self.traffic, after_last_s)

    @classmethod
    def open(
        cls,
        sock: socket.socket,
        *,
        header_timeout_s: float = HEADER_TIMEOUT_S,
        silence_s: float | None = None,
        after_last_s: float | None = None,
        refuse: Refuse | None = None,
    ) -> Connection:
        """Read configuration and header from a client that has just connected.

        Queries in front of them are answered here, MOST_QUERIES of handshake.py at most.
        silence_s: how long it may send nothing in the scan, or take nothing; None for ever.
        after_last_s: the same behind the last readout of a measurement, for clients without CLOSE.
        refuse: tells a client that sends something else why that is refused; by default as a server
        does. Raises NoScan when the client ends or stays silent, QsmError when it was refused;
        `sock` is then closed.
        """
        raw = Incoming(sock)
        incoming, raw.end = buffered(raw), time.monotonic() + header_timeout_s
        limit_sending(sock, header_timeout_s)
        try:
            config, header_text = handshake(incoming, sock)
        except QsmError as error:
            raw.end, raw.silence_s = None, silence_s or header_timeout_s
            with cls(sock, raw, incoming, None, "", readable=False) as connection:
                if not isinstance(error, NoScan):
                    (refuse or _refuse)(connection, error)
            raise
        raw.end, raw.silence_s = None, silence_s
        limit_sending(sock, silence_s)
        return cls(sock, raw, incoming, config, header_text, after_last_s=after_last_s)

    @classmethod
    def adopt(cls, gadgetron_connection: Any) -> Connection:
        """Take over what the gadgetron package hands a target (gadgetron.external.Connection).

        Its socket wrapper reads on for ever when the peer is gone. From here on it is of no more
        use: the package's own close, after the target returns, closes this connection.
        """
        sock = gadgetron_connection.socket.socket
        raw = gadgetron_connection.raw_bytes
        config, header_text = (
            text.rstrip(b"\0").decode("utf-8", errors="replace")
            for text in (raw.config, raw.header)
        )
        sock.settimeout(None)
        incoming = Incoming(sock)
        connection = cls(sock, incoming, buffered(incoming), ConfigText(config), header_text)
        gadgetron_connection.socket = connection
        return connection

    @cached_property
    def properties(self) -> dict[str, str]:
        """The properties in `config`; raises QsmError when it is no XML."""
        return read_properties(self.config.text) if isinstance(self.config, ConfigText) else {}

    @property
    def received(self) -> bool:
        """Whether nothing more comes: the peer has said CLOSE, or has gone."""
        return self._reader.ended

    @property
    def cut_off(self) -> bool:
        """Whether `end` had some of the scan thrown away."""
        return self._reader.cut_off

    def __iter__(self) -> Iterator[Data]:
        while (message := self.peek()) is not None:
            self._taken.popleft()
            yield message

    def peek(self) -> Data | None:
        """Return the first message that is to come, which stays the first; None at the end."""
        if not self._taken:
            self._taken = self._reader.take()
        return _data(self._taken[0]) if self._taken else None

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, message: Message) -> None:
        """Send one message; raise PeerGone when nobody is there to get it.

        Nothing is sent any more behind one that failed: half of it may be with the peer.
        """
        encoded, name = BytesIO(), type(message).__name__
        write_message(encoded, message)
        with self._sending:
            if self._broken:
                raise PeerGone(f"the peer was gone before {name} was sent")
            try:
                self._socket.sendall(encoded.getbuffer())
            except BlockingIOError as error:  # the limit of limit_sending
                self._broken = True
                raise PeerGone(
                    f"the peer has long taken nothing of what it is sent: {name}"
                ) from error
            except OSError as error:
                self._broken = True
                raise PeerGone(f"the peer was gone when {name} was sent: {error}") from error
        self.traffic.sent(message)

    def end(self, reason: str) -> None:
        """Let no more of the scan come, from another thread; who waits for it gets QsmError.

        The peer may go on sending: what comes is read, and discarded.
        """
        self._reader.end(QsmError(reason))

    def drain(self) -> None:
        """Read and discard what the peer still sends, to its CLOSE or its end."""
        self._taken.clear()
        self._reader.discard()

    def fail_inside_gadgetron(self, text: str) -> None:
        """Report why the gadget ends: Gadgetron passes it on only after its own CLOSE."""
        self.drain()
        with contextlib.suppress(PeerGone):
            self.send(Error(text))

    def fail_as_server(self, text: str) -> None:
        """Report why there is no result, and close."""
        with contextlib.suppress(PeerGone):
            self.send(Text(f"ERROR   {text}"))
        self.close()

    def close(self) -> None:
        """Say CLOSE and end, once; never raises.

        A peer that still sends gets some seconds to read what it was sent: closing at once, with
        its bytes unread, would have the kernel throw ours away.
        """
        until = time.monotonic() + LINGER_S
        self._taken.clear()
        with contextlib.suppress(OSError, PeerGone):
            self._socket.settimeout(LINGER_S)
            self.send(Close())
            self._socket.shutdown(socket.SHUT_WR)
            self._reader.discard(until)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self._socket.close()


def _refuse(connection: Connection, error: QsmError) -> None:
    connection.fail_as_server(str(error))


def _data(message: Message) -> Data:
    if isinstance(message, Error):
        raise QsmError(f"the peer reports an error: {message.text}")
    if isinstance(message, ConfigFile | ConfigText | HeaderText | Close | Query | Response):
        raise QsmError(f"the peer sent {type(message).__name__} in the middle of the scan")
    return message
