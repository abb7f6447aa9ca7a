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

SOON_S = 15.0  # until nothing more may be heard, whatever a client did
STEADY = 20  # times that what it holds is the same, one behind the other
# As many processes as it may have, from the start: none is started or dismissed in between.
DEFAULTS = {"server.connections": "2", "server.warm": "2"}
SPOOL_GB = 0.05


def impatient(folder: Path) -> dict[str, str]:
    """Properties of a server that has no patience, and keeps the raw data of scans that fail."""
    return {
        **DEFAULTS,
        "server.silence_s": "1",
        "spool.folder": str(folder / "spool"),
        "spool.limit_gb": str(SPOOL_GB),
    }


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
        try:
            self._others = int(properties["server.connections"]) - 1
            self.all_serve()
            self.at_rest = self.steady()
            assert self.at_rest.processes >= 3, "nothing is known of those that it started"
        except BaseException:
            self.end()
            raise

    def all_serve(self) -> None:
        """Give each process a scan: one that has not had any still grows."""
        while not self._serve_together():
            pass

    def _serve_together(self) -> bool:
        """Serve while others wait; False if their patience ended, and one process served two."""
        *messages, close = small_scan.stream("images")
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(self.client()) for _ in range(self._others)]
            for peer in held:
                peer.send(b"".join(messages))
            assert self.serves()
            together = all(peer.silent_for(0.01) for peer in held)
            for peer in held:
                peer.send(close)
                peer.answer()
        return together

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

    def workers(self) -> list[int]:
        return self._server.workers()

    def with_a_scan(self) -> list[int]:
        return self._server.with_a_scan()

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

    def settles(self, within_s: float = SOON_S) -> bool:
        """Wait until the server holds what it held at rest."""
        return eventually(lambda: self.census().fixed == self.at_rest.fixed, within_s)

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


def told(
    port: int, stream: bytes, *, waits: bool = False, within_s: float = SOON_S
) -> tuple[bytes, list[str]]:
    """Send a stream, say that no more comes unless it waits; return what came to the end.

    Beside it, what is wrong with that end.
    """
    deadline, parts, problems = time.monotonic() + within_s, [], []
    with connected(port) as sock:
        with contextlib.suppress(OSError):  # it may have said CLOSE before it had all
            sock.sendall(stream)
            if not waits:
                sock.shutdown(socket.SHUT_WR)
        try:
            while True:
                sock.settimeout(max(0.01, deadline - time.monotonic()))
                if not (part := sock.recv(1 << 16)):
                    break
                parts.append(part)
        except OSError as error:
            problems.append(f"no end came: {error}")
    return b"".join(parts), problems


def reset(sock: socket.socket) -> None:
    """Close as the kernel does for a killed process with unread bytes: RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
