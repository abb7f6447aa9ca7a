"""The sender: in the background, what waits in the outbox goes out, one association a node."""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gadgetron_qsm.delivery import database, letters, queue
from gadgetron_qsm.delivery.attempt import Attempt, Network
from gadgetron_qsm.delivery.listening import Listening
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.queue import Recipient
from gadgetron_qsm.delivery.store import Answer
from gadgetron_qsm.errors import QsmError

log = logging.getLogger(__name__)

POLL_S = 1.0  # another process may put, or end and leave the sending to us
REST_S = 30.0  # after the disk could not be written
REPORT_S = 10.0  # how long a short-lived process waits for an archive to report what it keeps


class Sender:
    """Sends what waits in the outbox of a folder, in a background thread and one more a node.

    Of all senders of a folder, whatever their processes, one sends; the others wait until it
    ends. Objects are put with an Outbox; `notify` then saves waiting for the next look.
    """

    def __init__(
        self,
        folder: Path,
        *,
        network: Network | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._network = network or Network()
        self._clock = clock
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._workers: dict[str, threading.Thread] = {}
        self._unrecorded: dict[tuple[str, int], list[Answer]] = {}  # by node and file
        self._resting: dict[str, float] = {}
        self._told = ""

    def start(self) -> None:
        """Begin to send, if it has not begun yet."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            self._thread.start()

    def notify(self) -> None:
        """Look at once for what waits."""
        self._wake.set()

    def stop(self, timeout_s: float | None = None) -> bool:
        """End after the object in flight, if any; tell whether it has ended in time."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def flush(self, timeout_s: float | None = None, node: str | None = None) -> list[letters.Line]:
        """Try now to send everything, once; return what is then still to be done.

        `node` is the one to wait for, None all. When another process sends, it is it that tries.
        """
        running = self._thread is not None and self._thread.is_alive()
        end = time.monotonic() + (threading.TIMEOUT_MAX if timeout_s is None else timeout_s)
        with Outbox(self.folder, self._clock) as outbox:
            before = letters.hurry(outbox, node)
            self._resting.clear()
            self.start()
            self.notify()
            try:
                while time.monotonic() < end and self._untried(outbox, before, node):
                    time.sleep(0.02)
                self._wait_for_reports(outbox, min(end, time.monotonic() + REPORT_S), node)
            finally:  # also when a person has had enough
                if not running:
                    self.stop(max(0.0, end - time.monotonic()))
            return [line for line in letters.lines(outbox) if node in (None, line.node)]

    def _untried(self, outbox: Outbox, before: dict[str, int], node: str | None) -> bool:
        """Tell whether something waits for a node that has not been tried since `before`."""
        if self._thread is None or not self._thread.is_alive():
            return False
        now = letters.attempts(outbox, node)
        return any(
            before.get(name, 0) == tries and name not in self._resting
            for name, tries in now.items()
        )

    def _wait_for_reports(self, outbox: Outbox, end: float, node: str | None) -> None:
        while time.monotonic() < end and any(
            line.state == "sent" and node in (None, line.node) for line in letters.lines(outbox)
        ):
            time.sleep(0.1)

    def _run(self) -> None:
        """Wait for our turn, then send until we are stopped."""
        waited = False
        while not self._stop.is_set():
            with self._telling(), _turn(self.folder) as ours:
                if ours:
                    self._send()
                elif not waited:
                    log.info("another process sends what waits in %s", self.folder)
                waited = True
            self._pause()

    def _send(self) -> None:
        """Let a worker try each node that is due, until the outbox's file is another.

        The turn ends with it, since the lock's file may have gone as well, with their folder.
        """
        with Outbox(self.folder, self._clock) as outbox:
            outbox.forget()
            outbox.tidy()
            try:
                with Listening(self.folder, self._network.listener, self._clock) as listening:
                    while outbox.current and not self._stop.is_set():
                        listening.update(outbox)
                        for recipient in queue.due(outbox):
                            self._work_for(recipient)
                        self._pause()
            finally:
                for worker in self._workers.values():
                    worker.join()
                if not outbox.current:
                    self._unrecorded.clear()  # they name objects of a file that is gone

    def _work_for(self, recipient: Recipient) -> None:
        name = recipient.name
        worker = self._workers.get(name)
        resting = self._resting.get(name, 0) > time.monotonic()
        if resting or (worker is not None and worker.is_alive()):
            return
        self._workers[name] = threading.Thread(
            target=self._work, args=(recipient,), name=f"outbox-{name}", daemon=True
        )
        self._workers[name].start()

    def _work(self, recipient: Recipient) -> None:
        try:
            with Outbox(self.folder, self._clock) as outbox:
                unrecorded = self._unrecorded.setdefault((recipient.name, outbox.inode), [])

                def stopped() -> bool:
                    return self._stop.is_set() or not outbox.current

                Attempt(outbox, recipient, self._network, stopped, unrecorded).run()
        except QsmError as error:
            self._rest(recipient.name)
            log.error("nothing is sent to node '%s': %s", recipient.name, error)
        except Exception:
            self._rest(recipient.name)
            log.exception("sending to node '%s' failed", recipient.name)
        finally:
            self._wake.set()

    def _rest(self, name: str) -> None:
        self._resting[name] = time.monotonic() + REST_S

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Log what is wrong with the outbox, once until it is something else, and go on."""
        try:
            yield
            self._told = ""
        except Exception as error:  # a fault of ours must not end the sending for good either
            if str(error) != self._told:
                log.error("%s", error, exc_info=not isinstance(error, QsmError))
            self._told = str(error)

    def _pause(self) -> None:
        if not self._stop.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()


@contextmanager
def _turn(folder: Path) -> Iterator[bool]:
    """Tell whether it is our turn to send; the kernel ends it when the process is killed."""
    with database.told(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = database.private(folder / "sending.lock")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
