"""A worker as its parent sees it."""

from __future__ import annotations

import socket
import time

from gadgetron_qsm.server import orders, worker
from gadgetron_qsm.server.child import SPAWN, how_it_ended, signals_held_back
from gadgetron_qsm.server.job import Job
from gadgetron_qsm.server.ledger import Ledger

REAP_S = 1.0  # for a process to go that has closed everything


class Member:
    """A process of ours, and the client whose scan it has: a second descriptor of the socket.

    With that the client can still be told when the process has died. `since` is the
    time.monotonic() of what it last began: to start, to wait, a scan.
    Raises OSError when the system has no room for another process.
    """

    def __init__(self, ledger: Ledger, job: Job) -> None:
        self.control, theirs = orders.pair()
        self.client: socket.socket | None = None
        self.since = time.monotonic()
        self.why: str | None = None  # its scan is ended
        self.kill_at: float | None = None
        self._ready = self._dismissed = False
        self._scan = 0  # its number here: what is told of one is not of the next
        self.process = SPAWN.Process(target=worker.run, args=(theirs, ledger, job), daemon=True)
        try:
            with theirs, signals_held_back():
                self.process.start()
        except BaseException:
            self.control.close()
            raise

    @property
    def idle(self) -> bool:
        """Whether it waits for a scan."""
        return self._ready and self.client is None and not self._dismissed

    @property
    def starting(self) -> bool:
        """Whether it gets ready for its first scan."""
        return not self._ready

    @property
    def seconds(self) -> float:
        """How long it has had its scan."""
        return time.monotonic() - self.since

    def hand(self, client: socket.socket) -> bool:
        """Give it a client; return False when it has just ended."""
        self._scan += 1
        if not orders.send(self.control, client, scan=self._scan):
            return False
        self.client, self.since = client, time.monotonic()
        return True

    def rest(self) -> None:
        """Note that it is ready; the scan that it had is over, and so is its connection."""
        if self.client:
            self.client.close()
        self.client = self.why = self.kill_at = None
        self._ready, self.since = True, time.monotonic()

    def end(self, why: str) -> None:
        """Have it tell its client why the scan ends; the process is killed if it does not."""
        if self.why is None:
            self.why, self.kill_at = why, time.monotonic() + worker.LAST_S
            orders.send(self.control, scan=self._scan, why=why)

    def dismiss(self) -> None:
        """Have it end."""
        self._dismissed, self.kill_at = True, time.monotonic() + worker.ENDING_S
        self.control.shutdown(socket.SHUT_WR)

    def kill(self, why: str | None = None) -> None:
        """End it now, and its scan, if it has one: for which reason."""
        self.why, self.kill_at = why or self.why, None
        self.process.kill()

    def reap(self) -> str:
        """Collect the process, which has ended or is about to; say how it ended.

        One that does not go is collected when the next is started: nobody waits for it here.
        """
        self.control.close()
        self.process.join(REAP_S)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            return "it does not quite end"
        self.process.close()
        return how_it_ended(code)
