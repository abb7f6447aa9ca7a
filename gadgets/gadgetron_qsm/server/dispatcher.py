"""The parent: accepts clients and gives each to a worker of its own."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.server import orders
from gadgetron_qsm.server.door import Door
from gadgetron_qsm.server.farewell import Farewells
from gadgetron_qsm.server.job import Job
from gadgetron_qsm.server.member import Member
from gadgetron_qsm.server.staff import Staff
from gadgetron_qsm.site import scans
from gadgetron_qsm.site.summary import ScanSummary
from gadgetron_qsm.site_sections import ServerSettings

log = logging.getLogger(__name__)

BUSY_S = 1.0  # that a client too many waits: the scan before it may be just about to end
TOLD_S = 5.0  # for clients to be told that the server stops
STOPPED = "the server was stopped"


class _Waiting(NamedTuple):
    """A client that waits for a worker, and until when if there is no room for its scan."""

    client: socket.socket
    until: float


class Dispatcher:
    """Serves the clients of a listening socket until `stop`, and outlives all that they do.

    What became of each scan is told by scans.tell.
    """

    def __init__(
        self,
        listener: socket.socket,
        job: Job,
        settings: ServerSettings,
        *,
        ready: Callable[[], None] | None = None,
    ) -> None:
        """`ready` is called when the first worker is."""
        self._job, self._settings, self._ready = job, settings, ready
        self._selector = selectors.DefaultSelector()
        self._door = Door(listener, self._selector, self._spoke)
        self._staff = Staff(job, settings, self._hired)
        self._farewells = Farewells(inside_gadgetron=job.inside_gadgetron)
        self._queue: deque[_Waiting] = deque()
        self._end_scans_at: float | None = None  # once stopped
        self._woken, self._wake = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, self._stop)

    def run(self) -> None:
        """Serve until stopped; raise QsmError when no worker can be started at all."""
        try:
            while self._end_scans_at is None or self._staff.members:
                self._safely(self._look_after)
                for key, _ in self._selector.select(self._wait_s()):
                    self._safely(key.data)
            self._farewells.wait(TOLD_S)
        finally:
            self._close()

    def stop(self) -> None:
        """Take no more clients, and end when the scans have; at once when called again.

        May be called by a signal handler, or another thread.
        """
        with contextlib.suppress(OSError):  # it has ended
            self._wake.send(b"!")

    @property
    def running(self) -> int:
        """Number of scans that run."""
        return len(self._staff.busy)

    @property
    def workers(self) -> int:
        """Number of processes that have a scan, or may have one."""
        return len(self._staff.members)

    def _safely(self, act: Callable[[], None]) -> None:
        try:
            act()
        except QsmError:
            raise
        except Exception:  # whatever it is, the next client is to be served
            log.exception("the server goes on after a fault of its own")

    def _look_after(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        self._door.look_after(now)
        self._staff.look_after(now)
        self._refuse_late(now)
        if self._end_scans_at is None:
            self._staff.hire(len(self._queue))
            self._give_up()
        elif self._end_scans_at <= now:
            self._staff.end_scans(now, STOPPED)

    def _give_up(self) -> None:
        """Keep nobody waiting for a worker that cannot be started."""
        if self._staff.hopeless:
            self._refuse_all("the server can start no process for the scan; see its log")
            if self._ready:
                raise QsmError("no process that serves scans can be started; see the log above")

    def _wait_s(self) -> float | None:
        """Return how long nothing is due; None when nothing ever is."""
        waiting = (one.until for one in self._too_many())
        times = [*self._door.times(), *self._staff.times(), *waiting]
        if self._end_scans_at is not None and any(m.why is None for m in self._staff.busy):
            times.append(self._end_scans_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _spoke(self, client: socket.socket) -> None:
        """Take a client that has begun to send."""
        self._queue.append(_Waiting(client, time.monotonic() + BUSY_S))
        self._give()

    def _too_many(self) -> list[_Waiting]:
        """Return the clients for whom there is no room while the scans run that do."""
        return list(self._queue)[self._settings.connections - len(self._staff.busy) :]

    def _refuse_late(self, now: float) -> None:
        """Refuse clients for whom no room was made in time."""
        scans = self._settings.connections
        line = f"busy: {scans} scans run, and no more may; send it again when one has ended"
        for one in self._too_many():
            if one.until <= now:
                log.warning("a client was refused, %s", line)
                self._queue.remove(one)
                self._refuse(one.client, line)

    def _refuse(self, client: socket.socket, line: str) -> None:
        scans.tell(ScanSummary.unseen("refused", 0.0, line))
        self._farewells.tell(client, line, read=False)

    def _refuse_all(self, line: str) -> None:
        """Tell the clients that wait for a worker."""
        while self._queue:
            self._refuse(self._queue.popleft().client, line)

    def _give(self) -> None:
        """Give clients that wait to workers that do; start more where there are too few."""
        while self._queue and (member := self._staff.idle()):
            if member.hand(self._queue[0].client):
                self._queue.popleft()
            else:
                self._lost(member)
        self._staff.hire(len(self._queue))

    def _hired(self, member: Member) -> None:
        self._selector.register(member.control, selectors.EVENT_READ, lambda: self._heard(member))

    def _heard(self, member: Member) -> None:
        """Take a report of a worker, of which the last is its end."""
        if member not in self._staff.members:  # lost since this was noticed
            return
        report = orders.receive(member.control)
        if report is None:
            self._lost(member)
            return
        message, _ = report
        if "summary" in message:
            scans.tell(ScanSummary(**message["summary"]))
            return
        member.rest()
        self._staff.started()
        if self._end_scans_at is not None or message.get("outcome") == "fault":
            member.dismiss()
            return
        if self._ready:
            self._ready()
            self._ready = None
        self._give()

    def _lost(self, member: Member) -> None:
        """Note the end of a worker, and tell the client of its scan, if it has one."""
        self._selector.unregister(member.control)
        kept = partial(self._job.kept, member.process.pid or 0, time.time() - member.seconds)
        how = self._staff.lost(member)
        if member.client:
            line = member.why or f"the reconstruction came to a sudden end ({how})"
            scans.tell(ScanSummary.unseen("killed", member.seconds, line))
            log.error("%s", line)
            self._farewells.tell(member.client, line, read=True, more=kept)

    def _stop(self) -> None:
        """Begin to end, or end."""
        calls = len(self._woken.recv(16))
        if self._end_scans_at is None:
            self._end_scans_at = time.monotonic() + self._settings.grace_s
            self._door.shut()
            self._refuse_all(STOPPED)
            log.warning("stopping; scans that go on: %d", len(self._staff.busy))
            calls -= 1
            for member in self._staff.members:
                if member.idle:
                    member.dismiss()
                elif member.starting:
                    member.kill(STOPPED)
        if calls > 0:
            for member in self._staff.members:
                member.kill(STOPPED)

    def _close(self) -> None:
        """Leave nothing behind."""
        if self._end_scans_at is None:  # something else than a stop ended it
            self._door.shut()
        self._staff.close()
        self._selector.close()
        self._woken.close()
        self._wake.close()
