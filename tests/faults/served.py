"""A server of ours in a process of its own, with the small scan's settings, and what it holds."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.end_to_end.peers import Answer, Peer, Server
from tests.faults import small_scan
from tests.faults.census import Census, census, eventually

SOON_S = 5.0  # until nothing more may be heard, whatever a client did
STEADY = 20  # times that what it holds is the same, one behind the other
DEFAULTS = {"server.connections": "2"}  # so that a second process is all that is ever started


class Served:
    """`serve` or `gadget`, and how a client of it is told what went wrong."""

    def __init__(
        self, command: str, folder: Path, properties: Mapping[str, str] = DEFAULTS
    ) -> None:
        """`properties` are of the server's own configuration."""
        config = folder / "site.xml"
        config.write_text(small_scan.configuration({"preset": "fast", **properties}))
        self.command, self.folder = command, folder
        self._server = Server(command, folder, "--config", str(config))
        self._read = 0
        assert self.serves()
        self.at_rest = self.steady()

    def steady(self) -> Census:
        """Wait until it begins and ends nothing any more, and return what it holds then."""
        seen = deque([self.census()], STEADY)
        while len(seen) < STEADY or len({held.fixed for held in seen}) > 1:
            time.sleep(0.05)
            seen.append(self.census())
        return seen[-1]

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def pid(self) -> int:
        return self._server.process.pid

    def census(self) -> Census:
        return census(self.pid)

    def client(self) -> contextlib.AbstractContextManager[Peer]:
        return self._server.client()

    def answer(self, stream: bytes) -> Answer:
        """Pass a whole stream; read to the CLOSE."""
        with self.client() as peer:
            peer.send(stream)
            return peer.answer()

    def serves(self, form: str = "images") -> bool:
        """Tell whether the next client gets its series."""
        return names(self.answer(b"".join(small_scan.stream(form)))) == SERIES

    def settles(self) -> bool:
        """Wait until the server holds what it held at rest."""
        return eventually(lambda: self.census().fixed == self.at_rest.fixed, SOON_S)

    def log_since(self) -> str:
        """Return what was logged since this was last asked."""
        log = self._server.log
        new, self._read = log[self._read :], len(log)
        return new

    def end(self) -> None:
        self._server.end()


SERIES = ["chi", "r2star", "magnitude", "magnitude"]


def names(answer: Answer) -> list[str]:
    return [volume.name for volume in answer.maps]


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A socket without a thread behind it, for bytes that are sent piece by piece."""
    with socket.create_connection(("127.0.0.1", port), SOON_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def reset(sock: socket.socket) -> None:
    """Close as the kernel does for a killed process with unread bytes: RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
