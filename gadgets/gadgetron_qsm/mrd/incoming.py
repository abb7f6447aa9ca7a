"""The bytes of a peer, for which nobody waits for ever."""

from __future__ import annotations

import select
import socket
import struct
import time
from io import BufferedReader, RawIOBase
from typing import Any

from gadgetron_qsm.mrd.primitives import Silence

_BUFFER = 1 << 20


class Incoming(RawIOBase):
    """What a socket receives. Raises Silence when nothing comes for `silence_s`, or until `end`.

    silence_s: seconds; None waits for ever. `end` is a time of time.monotonic(), or None.
    """

    def __init__(self, sock: socket.socket, silence_s: float | None = None) -> None:
        self.silence_s = silence_s
        self.end: float | None = None
        self._socket = sock

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for bytes and take what is there; 0 at the end of the stream."""
        wait_s = self.silence_s
        if self.end is not None:
            left_s = max(0.0, self.end - time.monotonic())
            wait_s = left_s if wait_s is None else min(wait_s, left_s)
        if wait_s == 0 or not _readable(self._socket, wait_s):
            raise Silence(f"the peer sent no more for {wait_s:.3g} s, and no CLOSE")
        return self._socket.recv_into(buffer)


def buffered(incoming: Incoming) -> BufferedReader:
    """Return a buffered stream of what comes."""
    return BufferedReader(incoming, _BUFFER)


def limit_sending(sock: socket.socket, silence_s: float | None) -> None:
    """Have sending fail with OSError when the peer takes nothing for `silence_s`; None: never."""
    seconds, rest = divmod(silence_s or 0, 1)  # which the kernel takes for never
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(seconds), int(1e6 * rest))
    )


def _readable(sock: socket.socket, wait_s: float | None) -> bool:
    poll = select.poll()  # a descriptor may be beyond what select() takes
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(None if wait_s is None else 1000 * wait_s))
