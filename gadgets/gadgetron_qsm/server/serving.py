"""What every MRD server of ours does, that of a replay too: it listens, and serves a client."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Literal

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import HEADER_TIMEOUT_S, Connection
from gadgetron_qsm.mrd.handshake import NoScan, OnlyAsked
from gadgetron_qsm.site.scans import Scan, scanning

Handler = Callable[[Connection], None]
Fail = Callable[[Connection, str], None]
End = Literal["done", "failed", "fault", "none"]

log = logging.getLogger(__name__)

BACKLOG = 64
KEEPALIVE_S = 10  # three of these without an answer, and the client's machine counts as dead


def listen(host: str, port: int) -> socket.socket:
    """Listen there; raise QsmError when the port is not free.

    MRD knows no password: listen where only the scanner can reach.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise QsmError(f"cannot listen on {host}:{port}: {error}") from error


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel notice when the peer's machine has gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):  # not everywhere; then the system's two hours
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), KEEPALIVE_S)
    if hasattr(socket, "TCP_KEEPCNT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def serve_one(
    sock: socket.socket,
    handler: Handler,
    fail: Fail,
    *,
    header_timeout_s: float = HEADER_TIMEOUT_S,
    silence_s: float | None = None,
    after_last_s: float | None = None,
) -> End:
    """Serve one client, to its end; say what became of its scan.

    That is 'none' of a client without a header, and 'fault' when something else than a QsmError was
    raised, which nobody foresaw.
    `handler` has the connection for as long as it runs; what it raises, the client is told by
    `fail`, which differs where the client is a Gadgetron. How long we wait: see Connection.open.
    """

    def refuse(connection: Connection, error: QsmError) -> None:
        with scanning(connection) as scan:
            log.error("%s", error)
            fail(connection, scan.failed(error))

    try:
        connection = Connection.open(
            sock,
            header_timeout_s=header_timeout_s,
            silence_s=silence_s,
            after_last_s=after_last_s,
            refuse=refuse,
        )
    except NoScan as error:
        log.log(logging.DEBUG if isinstance(error, OnlyAsked) else logging.INFO, "%s", error)
        return "none"
    except QsmError:
        return "failed"
    with connection, scanning(connection) as scan:
        return _handled(connection, handler, fail, scan)


def _handled(connection: Connection, handler: Handler, fail: Fail, scan: Scan) -> End:
    try:
        handler(connection)
    except QsmError as error:
        log.error("%s", error)
        fail(connection, scan.failed(error))
        return "failed"
    except Exception as error:  # a fault in the chain must not end the server
        log.exception("the reconstruction failed")
        fail(connection, scan.failed(error))
        return "fault"
    return "done"
