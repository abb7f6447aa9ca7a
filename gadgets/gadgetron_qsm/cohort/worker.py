"""A process that replays one scan after another, and ends with the one that began it."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from queue import SimpleQueue

from gadgetron_qsm.cohort.task import Began, Done, Event, Failed, Fraction, Task, Went, perform
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.server.child import leave_to_the_parent
from gadgetron_qsm.server.ledger import Ledger
from gadgetron_qsm.site import logs
from gadgetron_qsm.site.privacy import line_of

log = logging.getLogger(__name__)

OFTEN_S = 0.1  # between two words on how far it went


class Ready:
    """The process can take a scan."""


class Unfit:
    """The process takes no more scans: it ends after what it says next."""


@dataclass(frozen=True)
class Line:
    """What it would have written on stderr, where the parent shows how far everybody is."""

    text: str


def work(
    connection: Connection,
    ledger: Ledger,
    device: int | None,
    log_options: logs.Options,
    temporary: str,
) -> None:
    """Replay the tasks that come until the other end is closed, or a scan shows a fault of ours.

    A fault may have left anything behind, a broken CUDA context too: another process takes over.
    `device` is the number of the CUDA device to compute on, in place of the tasks'. `temporary` is
    a folder that the parent removes at the end, with what a process that was killed left there.
    """
    leave_to_the_parent()
    tempfile.tempdir = temporary
    tasks: SimpleQueue[Task] = SimpleQueue()
    threading.Thread(target=_obey, args=(connection, tasks), daemon=True).start()
    parent = _Parent(connection)
    sys.stderr = _Told(parent)
    logs.set_up(log_options)

    from gadgetron_qsm import replay  # noqa: F401 - before it says that it is ready
    from gadgetron_qsm.ingest import memory

    memory.share(ledger.await_room)
    parent.tell(Ready())
    sound = True
    while sound:
        task = tasks.get()
        parent.tell(Began(task.name))
        end, sound = _performed(placed(task, device), parent)
        ledger.release()
        if not sound:
            parent.tell(Unfit())
        parent.tell(end)


def _obey(connection: Connection, tasks: SimpleQueue[Task]) -> None:
    """Take tasks until the parent has ended, and with it this process, whatever it is doing."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)


class _Parent:
    """Is told what happens, by whichever thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._one = connection, threading.Lock()

    def tell(self, message: Event | Ready | Unfit | Line) -> None:
        """Send it."""
        with self._one:
            self._connection.send(message)


def _performed(task: Task, parent: _Parent) -> tuple[Event, bool]:
    """Return what became of a scan, and whether this process is fit for the next."""
    from gadgetron_qsm.exchange import faults  # with it come the libraries of a scan

    try:
        return Done(task.name, perform(task, _teller(task.name, parent))), True
    except QsmError as error:
        return Failed(task.name, str(error)), not faults
    except Exception as error:
        log.exception("the replay failed")
        return Failed(task.name, f"a fault in the program: {line_of(error)}"), False


def placed(task: Task, device: int | None) -> Task:
    """Return a task with the CUDA device to compute on, unless a server computes."""
    if device is None or task.server:
        return task
    return replace(task, overrides={**task.overrides, "device.number": str(device)})


def _teller(name: str, parent: _Parent) -> Fraction:
    last = 0.0

    def tell(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if fraction >= 1 or now >= last + OFTEN_S:
            last = now
            parent.tell(Went(name, fraction))

    return tell


class _Told(io.TextIOBase):
    """Hands lines to the parent."""

    def __init__(self, parent: _Parent) -> None:
        self._parent = parent

    def write(self, text: str) -> int:
        self._parent.tell(Line(text))
        return len(text)
