"""Where clients come in: they are let through when they have said something."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Callable, Iterator

from gadgetron_qsm.mrd.connection import HEADER_TIMEOUT_S
from gadgetron_qsm.server.serving import keep_alive

log = logging.getLogger(__name__)

MOST_SILENT = 256  # clients that have connected and sent nothing yet; the first of them goes
REST_S = 1.0  # after the system could not accept a client: too many files, no memory


class Door:
    """Accepts clients, and calls `spoke` with each whose first byte has come.

    Those that end before, as who looks whether somebody listens, or stay silent for
    HEADER_TIMEOUT_S are closed and cost nothing else.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        spoke: Callable[[socket.socket], None],
    ) -> None:
        self._listener, self._selector, self._spoke = listener, selector, spoke
        self._silent: dict[socket.socket, float] = {}  # and when they are given up
        self._rest_until: float | None = None
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def shut(self) -> None:
        """Take no more clients, and let go those that have said nothing."""
        if self._rest_until is None:
            self._selector.unregister(self._listener)
        self._rest_until = None
        self._listener.close()
        for client in list(self._silent):
            self._let_go(client)

    def look_after(self, now: float) -> None:
        """Do what is due at a time of time.monotonic()."""
        for client in [client for client, end in self._silent.items() if end <= now]:
            self._let_go(client)
        if self._rest_until is not None and self._rest_until <= now:
            self._rest_until = None
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def times(self) -> Iterator[float]:
        """Give the times at which something is due."""
        yield from self._silent.values()
        if self._rest_until is not None:
            yield self._rest_until

    def _accept(self) -> None:
        if self._listener.fileno() < 0:  # shut since this was noticed
            return
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            log.error("no client can be accepted for now: %s", error)
            self._selector.unregister(self._listener)
            self._rest_until = time.monotonic() + REST_S
            return
        keep_alive(client)
        if len(self._silent) >= MOST_SILENT:
            self._let_go(next(iter(self._silent)))
        self._silent[client] = time.monotonic() + HEADER_TIMEOUT_S
        self._selector.register(client, selectors.EVENT_READ, lambda: self._look_at(client))

    def _look_at(self, client: socket.socket) -> None:
        if client not in self._silent:  # let go since this was noticed
            return
        try:
            first = client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        if not first:
            self._let_go(client)
            return
        self._selector.unregister(client)
        del self._silent[client]
        self._spoke(client)

    def _let_go(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        del self._silent[client]
        client.close()
