"""Scans of a cohort by processes of this machine, which stay warm from one scan to the next."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from tempfile import TemporaryDirectory
from types import TracebackType

from gadgetron_qsm.cohort.task import Done, Event, Failed, Task
from gadgetron_qsm.cohort.worker import Line, Ready, Unfit, work
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.processors import sharing
from gadgetron_qsm.server.child import SPAWN, how_it_ended, signals_held_back
from gadgetron_qsm.server.ledger import Ledger
from gadgetron_qsm.site import logs

HOPELESS = 3  # starts that failed, one behind the other
REAP_S = 5.0  # for a process to go that has closed everything


def performed(
    tasks: Sequence[Task], jobs: int, *, gpus: int = 0, ledger: Ledger | None = None
) -> Iterator[Event]:
    """Replay scans, `jobs` at a time, each in a process; tell of each what happens with it.

    The processes share the processors, CUDA devices 0 to `gpus` - 1 in turn, and by the `ledger`
    the memory that is free: a scan waits for room that others have planned with. One that dies
    costs its scan alone. They end at once when the iterator is closed, or this process ends in
    whichever way. Raises QsmError when no process gets ready.
    """
    shared = ledger or Ledger()
    waiting = deque(tasks)
    try:
        with (
            TemporaryDirectory(prefix="gadgetron-qsm-", ignore_cleanup_errors=True) as temporary,
            _Crew(min(jobs, len(tasks)), gpus, shared, temporary) as crew,
        ):
            while waiting or crew.busy:
                crew.start(len(waiting))
                yield from crew.events(waiting)
    finally:
        if ledger is None:
            shared.close()


class _Worker:
    """A process as its parent sees it, and the scan that it has.

    `place` is its number among those that there are at a time. Raises OSError when the system has
    no room for another process.
    """

    def __init__(self, place: int, jobs: int, gpus: int, ledger: Ledger, temporary: str) -> None:
        self.place, self.ready, self.fit = place, False, True
        self.task: Task | None = None
        self.connection, theirs = SPAWN.Pipe()
        device = place % gpus if gpus else None
        self.process = SPAWN.Process(
            target=work, args=(theirs, ledger, device, logs.options(), temporary), daemon=True
        )
        try:
            with theirs, signals_held_back(), sharing(jobs):
                self.process.start()
        except BaseException:
            self.connection.close()
            raise

    def hand(self, task: Task) -> bool:
        """Give it a scan; return False when it has just ended."""
        try:
            self.connection.send(task)
        except OSError:
            return False
        self.task = task
        return True

    def reap(self) -> str:
        """Collect the process, which has ended or is about to; say how it ended."""
        self.connection.close()
        self.process.join(REAP_S)
        self.process.kill()
        self.process.join()
        return how_it_ended(self.process.exitcode or 0)


class _Crew:
    """The workers: as many as are needed, and each that ends is replaced."""

    def __init__(self, jobs: int, gpus: int, ledger: Ledger, temporary: str) -> None:
        """`temporary` is a folder for what processes that are killed leave."""
        self._jobs, self._gpus, self._ledger, self._temporary = jobs, gpus, ledger, temporary
        self._workers: list[_Worker] = []
        self._failures = 0

    def __enter__(self) -> _Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.reap()

    @property
    def busy(self) -> int:
        """How many have a scan."""
        return sum(1 for worker in self._workers if worker.task)

    def start(self, waiting: int) -> None:
        """Start as many as there should be with so many scans that wait for one."""
        taken = {worker.place for worker in self._workers}
        free = [place for place in range(self._jobs) if place not in taken]
        for place in free[: self.busy + waiting - len(taken)]:
            try:
                worker = _Worker(place, self._jobs, self._gpus, self._ledger, self._temporary)
            except OSError as error:
                if self._workers:
                    return  # they go on without it
                raise QsmError(f"no process for a scan can be started: {error}") from error
            self._workers.append(worker)

    def events(self, waiting: deque[Task]) -> Iterator[Event]:
        """Hand scans to those who have none, and wait until something is told."""
        for worker in self._workers:
            free = worker.ready and worker.fit and not worker.task
            if waiting and free and worker.hand(waiting[0]):
                waiting.popleft()
        said = wait([worker.connection for worker in self._workers])
        for worker in [worker for worker in self._workers if worker.connection in said]:
            yield from self._told(worker)

    def _told(self, worker: _Worker) -> Iterator[Event]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._lost(worker)
            return
        if isinstance(message, Ready):
            worker.ready, self._failures = True, 0
        elif isinstance(message, Unfit):
            worker.fit = False
        elif isinstance(message, Line):
            sys.stderr.write(message.text)
        else:
            if isinstance(message, Done | Failed):
                worker.task = None
            yield message

    def _lost(self, worker: _Worker) -> Iterator[Event]:
        self._workers.remove(worker)
        process, how = worker.process.pid, worker.reap()
        self._ledger.release(process)
        if worker.task:
            yield Failed(worker.task.name, _why(how))
        elif not worker.ready:
            self._failures += 1
            if self._failures >= HOPELESS:
                raise QsmError(f"processes for scans do not get ready: {how}")


def _why(how: str) -> str:
    """Tell in a line why a scan has no end, from how its process ended."""
    by_the_kernel = signal.SIGKILL.name in how
    memory = "; the system may have run out of memory: try fewer --jobs" if by_the_kernel else ""
    return f"its process ended with {how}{memory}"
