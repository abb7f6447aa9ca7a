"""The workers of a server: how many there are, and what ends them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator

from gadgetron_qsm.server.job import Job
from gadgetron_qsm.server.ledger import Ledger
from gadgetron_qsm.server.member import Member
from gadgetron_qsm.site_sections import ServerSettings

log = logging.getLogger(__name__)

IDLE_S = 300.0  # after which a worker that is not needed ends
START_S = 600.0  # to get ready: a GPU's kernels may all have to be compiled
RETRY_S = 1.0  # after a worker could not start; twice as long each time,
LONGEST_RETRY_S = 60.0  # up to this
HOPELESS = 3  # starts that failed, one behind the other


class Staff:
    """Workers, of which `warm` are kept ready beside those that have a scan, if they may be.

    `members` are all of them, those that are about to end, too. `hired` is called with each new
    one. Each plans its memory with the others, for server.memory_gb or what is free.
    """

    def __init__(self, job: Job, settings: ServerSettings, hired: Callable[[Member], None]) -> None:
        limit = settings.memory_gb
        self.members: list[Member] = []
        self._job, self._settings, self._hired = job, settings, hired
        self._ledger = Ledger(None if limit is None else limit * 1e9)
        self._failures, self._retry_at = 0, 0.0

    @property
    def busy(self) -> list[Member]:
        """Those that have a scan."""
        return [member for member in self.members if member.client]

    @property
    def hopeless(self) -> bool:
        """Whether it makes no sense to wait for a worker."""
        return self._failures >= HOPELESS

    def idle(self) -> Member | None:
        """Return the one that has waited for the shortest time; the others may end."""
        waiting = [member for member in self.members if member.idle]
        return max(waiting, key=lambda member: member.since, default=None)

    def hire(self, queued: int) -> None:
        """Start as many as there should be, with so many clients that wait for one."""
        busy = len(self.busy)
        wanted = min(queued + self._settings.warm, self._settings.connections - busy)
        starting = sum(1 for member in self.members if member.starting)
        spare = starting + sum(1 for member in self.members if member.idle)
        for _ in range(min(wanted - spare, (os.cpu_count() or 1) - starting)):
            if time.monotonic() < self._retry_at:
                return
            try:
                member = Member(self._ledger, self._job)
            except OSError as error:
                log.error("no process for a scan can be started for now: %s", error)
                self._failed()
                return
            self.members.append(member)
            self._hired(member)

    def started(self) -> None:
        """Note that workers can be started."""
        self._failures = 0

    def lost(self, member: Member) -> str:
        """Collect one that has ended; say how it ended."""
        self.members.remove(member)
        process, how = member.process.pid, member.reap()
        self._ledger.release(process)
        if member.starting and member.why is None:
            log.error("a process could not get ready for scans: %s", how)
            self._failed()
        return how

    def end_scans(self, begun_before: float, why: str) -> None:
        """Have scans end that began before a time; they are killed if they do not."""
        for member in self.busy:
            if member.since <= begun_before:
                member.end(why)

    def look_after(self, now: float) -> None:
        """Do what is due: end scans that take too long, and workers that nobody needs."""
        longest_s = self._settings.longest_s
        self.end_scans(
            now - longest_s, f"the scan took longer than {longest_s:g} s (server.longest_s)"
        )
        for member in self.members:
            if member.starting and member.since + START_S <= now:
                member.kill()
            if member.kill_at is not None and member.kill_at <= now:
                member.kill()
        idle = sorted((m for m in self.members if m.idle), key=lambda m: m.since)
        for member in idle[: max(0, len(idle) - self._settings.warm)]:
            if member.since + IDLE_S <= now:
                member.dismiss()

    def times(self) -> Iterator[float]:
        """Give the times at which something is due."""
        if self._retry_at > time.monotonic():
            yield self._retry_at
        idle = [member for member in self.members if member.idle]
        if len(idle) > self._settings.warm:
            yield min(member.since for member in idle) + IDLE_S
        for member in self.members:
            if member.kill_at is not None:
                yield member.kill_at
            elif member.client and member.why is None:
                yield member.since + self._settings.longest_s
            elif member.starting:
                yield member.since + START_S

    def close(self) -> None:
        """End everybody at once."""
        for member in self.members:
            member.kill()
        for member in self.members:
            member.rest()
            member.reap()
        self._ledger.close()

    def _failed(self) -> None:
        self._failures += 1
        wait_s = min(LONGEST_RETRY_S, RETRY_S * 2 ** (self._failures - 1))
        self._retry_at = time.monotonic() + wait_s
