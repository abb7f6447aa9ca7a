"""A worker: a process that gets ready, serves one scan after another, and ends with its parent."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from dataclasses import asdict
from functools import partial
from queue import SimpleQueue

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.connection import Connection
from gadgetron_qsm.server import orders
from gadgetron_qsm.server.child import leave_to_the_parent
from gadgetron_qsm.server.job import Job
from gadgetron_qsm.server.ledger import Ledger
from gadgetron_qsm.server.serving import serve_one
from gadgetron_qsm.site import scans
from gadgetron_qsm.site.summary import ScanSummary

log = logging.getLogger(__name__)

LAST_S = 10.0  # for a scan to end that is told to
ENDING_S = 20.0  # for a process without a scan: it may send the last object to an archive
PARENT_GONE = "the server has ended"


def run(control: socket.socket, ledger: Ledger, job: Job) -> None:
    """Be a worker until the parent's end of `control` is closed, or a scan shows a fault of ours.

    A fault may have left anything behind, a broken CUDA context too: another process takes over.
    """
    leave_to_the_parent()
    worker = _Worker(control, job)
    threading.Thread(target=worker.obey, name="server-orders", daemon=True).start()
    try:
        job.prepare(ledger)
    except QsmError as error:
        log.error("%s", error)
        sys.exit(1)
    ledger.release()  # what the rehearsal planned with
    with scans.listening(worker.report):
        worker.work(ledger)


class _Worker:
    """The main thread works, another one takes orders."""

    def __init__(self, control: socket.socket, job: Job) -> None:
        self._control, self._job = control, job
        self._clients: SimpleQueue[tuple[int, socket.socket] | None] = SimpleQueue()
        self._ending = threading.Lock()
        self._scan: tuple[int, Connection] | None = None
        self._ended: dict[int, str] = {}  # why, by the numbers of scans

    def obey(self) -> None:
        """Take orders until the parent ends, and with it this process."""
        while (order := orders.receive(self._control)) is not None:
            message, client = order
            if client:
                self._clients.put((message["scan"], client))
            else:
                self._end(message["scan"], message["why"])
        self._clients.put(None)
        with self._ending:
            scan = self._scan
        if scan:
            self._end(scan[0], PARENT_GONE)
        time.sleep(LAST_S if scan else ENDING_S)
        os._exit(1)

    def work(self, ledger: Ledger) -> None:
        """Serve scans."""
        orders.send(self._control, state="ready")
        while (given := self._clients.get()) is not None:
            number, client = given
            with client:
                outcome = self._serve(number, client)
            ledger.release()
            orders.send(self._control, state="done", outcome=outcome)
            if outcome == "fault":
                return

    def report(self, summary: ScanSummary) -> None:
        """Tell the parent what became of a scan."""
        orders.send(self._control, summary=asdict(summary))

    def _serve(self, number: int, client: socket.socket) -> str:
        job = self._job
        try:
            return serve_one(
                client,
                partial(self._handle, number),
                job.fail,
                silence_s=job.silence_s,
                after_last_s=job.after_last_s,
            )
        except Exception:  # what told the client of a failure failed itself
            log.exception("the end of a scan was not told")
            return "fault"
        finally:
            with self._ending:
                self._scan = None
                self._ended.clear()

    def _handle(self, number: int, connection: Connection) -> None:
        with self._ending:
            self._scan = number, connection
            if why := self._ended.get(number):
                connection.end(why)
        self._job.handle(connection)

    def _end(self, number: int, why: str) -> None:
        with self._ending:
            self._ended[number] = why
            if self._scan and self._scan[0] == number:
                self._scan[1].end(why)
