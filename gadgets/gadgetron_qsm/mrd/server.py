"""An MRD server: Gadgetron, FIRE and OpenRecon clients connect here, one scan after another."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import HEADER_TIMEOUT_S, Connection, NoScan, OnlyAsked
from gadgetron_qsm.site.scans import Scan, scanning

Handler = Callable[[Connection], None]
Fail = Callable[[Connection, str], None]

log = logging.getLogger(__name__)

BACKLOG = 8
POLL_S = 0.2  # how soon a stop is noticed
KEEPALIVE_S = 10  # three of these without an answer, and the client's machine counts as dead


def serve(
    host: str,
    port: int,
    handler: Handler,
    *,
    ready: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
    header_timeout_s: float = HEADER_TIMEOUT_S,
    fail: Fail = Connection.fail_as_server,
) -> None:
    """Serve scans until `stop` is set or the process is interrupted, one client at a time.

    `handler` has the connection for as long as it runs; what it raises, the client is told by
    `fail`, which differs where the client is a Gadgetron, and the next is served. `ready` is told
    the port, which the system chooses for port 0. MRD knows no password: listen where only the
    scanner can reach. Raises QsmError when the port is not free.
    """
    stop = stop or threading.Event()
    with _listen(host, port) as listener, contextlib.suppress(KeyboardInterrupt):
        if ready:
            ready(listener.getsockname()[1])
        for sock in _clients(listener, stop):
            with sock, _interruptible(sock, stop):
                _serve_one(sock, handler, fail, header_timeout_s)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise QsmError(f"cannot listen on {host}:{port}: {error}") from error
    listener.settimeout(POLL_S)
    return listener


def _clients(listener: socket.socket, stop: threading.Event) -> Iterator[socket.socket]:
    while not stop.is_set():
        try:
            sock, _ = listener.accept()
        except (TimeoutError, ConnectionError):
            continue
        _keep_alive(sock)
        yield sock


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):  # not everywhere; then the system's two hours
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), KEEPALIVE_S)
    if hasattr(socket, "TCP_KEEPCNT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


@contextlib.contextmanager
def _interruptible(sock: socket.socket, stop: threading.Event) -> Iterator[None]:
    """End the connection when `stop` is set: whoever waits for it then finds the peer gone."""
    served = threading.Event()

    def watch() -> None:
        while not served.wait(POLL_S):
            if stop.is_set():
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, name="mrd-stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        served.set()
        watcher.join()


def _serve_one(sock: socket.socket, handler: Handler, fail: Fail, header_timeout_s: float) -> None:
    try:
        connection = Connection.open(sock, header_timeout_s=header_timeout_s)
    except NoScan as error:
        log.log(logging.DEBUG if isinstance(error, OnlyAsked) else logging.INFO, "%s", error)
        return
    except QsmError as error:
        log.error("%s", error)
        return
    with connection, scanning(connection) as scan:
        _handle(connection, handler, fail, scan)


def _handle(connection: Connection, handler: Handler, fail: Fail, scan: Scan) -> None:
    try:
        handler(connection)
    except KeyboardInterrupt:
        connection.fail_as_server("the server was stopped")
        raise
    except QsmError as error:
        log.error("%s", error)
        fail(connection, scan.failed(error))
    except Exception as error:  # a fault in the chain must not end the server
        log.exception("the reconstruction failed")
        fail(connection, scan.failed(error))
