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

import ismrmrd

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.handshake import NoScan, handshake
from gadgetron_qsm.mrd.inbox import Inbox
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
from gadgetron_qsm.mrd.traffic import Traffic
from gadgetron_qsm.mrd.wire import PeerGone, read_message, write_message

Refuse = Callable[["Connection", QsmError], None]
Data = Acquisition | Waveform | Image | DicomFile | Bucket | ReconData | ImageArray | Text

HEADER_TIMEOUT_S = 30.0
LINGER_S = 5.0  # how long a peer that still sends may go on after our CLOSE
SILENCE_S = 1.0  # after bytes that make no sense: the peer has finished when it is silent so long
LAST_IN_MEASUREMENT = 1 << (ismrmrd.ACQ_LAST_IN_MEASUREMENT - 1)
_BUFFER = 1 << 20


class Connection:
    """A connected peer; a thread reads ahead, one other thread iterates and closes. Any may send.

    `config` is what the peer configured us with and `header_text` its MRD header, both as sent.
    Iterating yields what follows, until CLOSE. A peer that ends without CLOSE raises PeerGone, of
    which NoClose is one that ends, or falls silent, behind a whole message.
    `traffic` counts what came and went; `cut_off` is whether `end` had some of it thrown away.
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
        self._socket, self._raw, self._incoming = sock, raw, incoming
        self._silence_s, self._after_last_s = raw.silence_s, after_last_s
        self._limits = Limits.of_header(header_text)
        self._sending = threading.Lock()
        self.traffic = Traffic()
        self.cut_off = False
        self._inbox = Inbox()
        self._taken: deque[Message] = deque()
        receive = self._receive if readable else self._ignore
        self._reader = threading.Thread(target=receive, name="mrd-reader", daemon=True)
        self._reader.start()

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
        return not self._reader.is_alive()

    def __iter__(self) -> Iterator[Data]:
        while (message := self.peek()) is not None:
            self._taken.popleft()
            yield message

    def peek(self) -> Data | None:
        """Return the first message that is to come, which stays the first; None at the end."""
        if not self._taken:
            self._taken = self._inbox.take()
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
        """Send one message; raise PeerGone when nobody is there to get it."""
        encoded = BytesIO()
        write_message(encoded, message)
        try:
            with self._sending:
                self._socket.sendall(encoded.getbuffer())
        except OSError as error:
            name = type(message).__name__
            raise PeerGone(f"the peer was gone when {name} was sent: {error}") from error
        self.traffic.sent(message)

    def end(self, reason: str) -> None:
        """Let no more of the scan come, from another thread; who waits for it gets QsmError.

        The peer may go on sending: what comes is read, and discarded.
        """
        self.cut_off = not self.received
        self._inbox.end(QsmError(reason))

    def drain(self) -> None:
        """Read and discard what the peer still sends, to its CLOSE or its end."""
        self._discard(None)
        self._reader.join()

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
        deadline = time.monotonic() + LINGER_S
        with contextlib.suppress(OSError, PeerGone):
            self._socket.settimeout(LINGER_S)
            self.send(Close())
            self._socket.shutdown(socket.SHUT_WR)
            self._discard(deadline)
            self._reader.join(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._inbox.end()
        self._reader.join()
        self._incoming.close()
        self._socket.close()

    def _discard(self, deadline: float | None) -> None:
        self._taken.clear()
        with contextlib.suppress(Exception):  # of any kind, when the reader failed
            while self._inbox.take(deadline and max(0.0, deadline - time.monotonic())):
                pass

    def _receive(self) -> None:
        error: Exception | None = None
        try:
            while not isinstance(message := read_message(self._incoming, self._limits), Close):
                self.traffic.came(message)
                self._inbox.put(message)  # if ended, it is discarded: CLOSE is to be read
                self._wait_less(message)
        except OSError as broken:
            error = PeerGone(f"the connection broke: {broken}")
        except Exception as anything:  # the thread that waits for messages must hear of it
            error = anything
        self._inbox.end(error)
        if error and not isinstance(error, PeerGone):
            self._discard_bytes()

    def _wait_less(self, message: Message) -> None:
        """Expect no more than CLOSE behind the last readout of a measurement."""
        if self._after_last_s is not None and isinstance(message, Acquisition):
            last = int(message.head["flags"]) & LAST_IN_MEASUREMENT
            self._raw.silence_s = self._after_last_s if last else self._silence_s

    def _ignore(self) -> None:
        self._inbox.end()
        self._discard_bytes()

    def _discard_bytes(self) -> None:
        self._raw.silence_s = SILENCE_S
        with contextlib.suppress(OSError, QsmError):
            while self._raw.read(_BUFFER):
                pass


def _refuse(connection: Connection, error: QsmError) -> None:
    connection.fail_as_server(str(error))


def _data(message: Message) -> Data:
    if isinstance(message, Error):
        raise QsmError(f"the peer reports an error: {message.text}")
    if isinstance(message, ConfigFile | ConfigText | HeaderText | Close | Query | Response):
        raise QsmError(f"the peer sent {type(message).__name__} in the middle of the scan")
    return message
