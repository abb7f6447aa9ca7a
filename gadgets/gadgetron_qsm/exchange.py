"""A raw file sent to a server, ours or another, and what comes back."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.gadgets import serve_resident
from gadgetron_qsm.mrd.client import Progress, stream
from gadgetron_qsm.mrd.connection import HEADER_TIMEOUT_S, Connection
from gadgetron_qsm.mrd.messages import ConfigFile, ConfigText, DicomFile, Image
from gadgetron_qsm.precedence import OF_ITS_MEMORY, refuse_of_the_machine
from gadgetron_qsm.server.serving import Fail, Handler, keep_alive, listen, serve_one

Address = tuple[str, int]

LOOPBACK = "127.0.0.1"
POLL_S = 0.2  # how soon the end is noticed
PLACE = ("device.", OF_ITS_MEMORY)  # settings of where a scan is computed

faults: list[str] = []  # that nobody foresaw, of the chain in this process: it may be broken


@contextmanager
def served(server: Address | None, properties: Mapping[str, str]) -> Iterator[Address]:
    """Give the address of `server`, or of one that runs in this process as long as the block.

    That one computes where `properties` say, which no client of it may.
    """
    if server:
        yield server
        return
    place = {key: properties[key] for key in properties if key.startswith(PLACE)}
    with _quiet(), serving(partial(_serve, place)) as port:
        yield LOOPBACK, port


@contextmanager
def linked(handler: Handler) -> Iterator[socket.socket]:
    """Serve one scan from a thread, and give the client's end of the only connection to it.

    At the end it waits for the scan, which a client that has gone may not end at once.
    """
    ours, theirs = socket.socketpair()
    serve = partial(serve_one, ours, handler, Connection.fail_as_server)
    thread = threading.Thread(target=serve, name="mrd-scan", daemon=True)
    with ours, theirs, _quiet():
        thread.start()
        try:
            yield theirs
        finally:
            theirs.close()
            thread.join()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep out of the log what the only client of our own server is told, and tells."""
    of_server = logging.getLogger(serve_one.__module__)
    of_server.addFilter(_is_fault)
    try:
        yield
    finally:
        of_server.removeFilter(_is_fault)


@contextmanager
def serving(
    handler: Handler,
    fail: Fail = Connection.fail_as_server,
    *,
    header_timeout_s: float = HEADER_TIMEOUT_S,
) -> Iterator[int]:
    """Serve scans from a thread as long as the block, one client at a time, and give the port.

    The arguments are those of serve_one. At the end it waits for a scan that runs. Raises QsmError
    when it cannot listen.
    """
    stop = threading.Event()

    def run() -> None:
        for sock in _clients(listener, stop):
            with sock:
                serve_one(sock, handler, fail, header_timeout_s=header_timeout_s)

    with listen(LOOPBACK, 0) as listener:
        listener.settimeout(POLL_S)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _clients(listener: socket.socket, stop: threading.Event) -> Iterator[socket.socket]:
    while not stop.is_set():
        try:
            sock, _ = listener.accept()
        except (TimeoutError, ConnectionError):
            continue
        keep_alive(sock)
        yield sock


def _serve(place: Mapping[str, str], connection: Connection) -> None:
    refuse_of_the_machine(connection.properties)  # any user of this machine may connect
    try:
        serve_resident(connection, place)
    except QsmError:
        raise
    except Exception as error:
        faults.append(type(error).__name__)
        raise


def _is_fault(record: logging.LogRecord) -> bool:
    """Tell whether a line of our own server's log says more than the error that its client gets."""
    return record.exc_info is not None


@dataclass
class Came:
    """What came back; the seconds from the last readout sent; why no more came, if it failed."""

    images: list[Image] = field(default_factory=list)
    files: list[DicomFile] = field(default_factory=list)
    latency_s: float = 0.0
    failure: QsmError | None = None


def exchanged(
    raw: Path, address: Address, config: ConfigFile | ConfigText, progress: Progress | None
) -> Came:
    """Send a file, and take what comes back to the end, or until the chain fails."""
    last_sent = time.perf_counter()

    def on_progress(sent: int, total: int) -> None:
        nonlocal last_sent
        last_sent = time.perf_counter()
        if progress:
            progress(sent, total)

    came = Came()
    try:
        for message in stream(raw, *address, config, on_progress):
            if isinstance(message, Image):
                came.images.append(message)
            elif isinstance(message, DicomFile):
                came.files.append(message)
    except QsmError as error:
        came.failure = error
    came.latency_s = time.perf_counter() - last_sent
    return came
