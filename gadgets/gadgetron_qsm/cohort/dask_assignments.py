"""Scans given to Dask's workers, one each at a time, and taken from those that are lost.

Dask itself is not left to choose among many tasks: when a worker dies, it counts that against all
that were queued there, and after a few such deaths they count as failed with the one that kills.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from uuid import uuid4

from gadgetron_qsm.cohort.dask_crew import Crew
from gadgetron_qsm.cohort.dask_start import Cluster
from gadgetron_qsm.cohort.dask_worker import TOPIC, replayed
from gadgetron_qsm.cohort.task import Began, Event, Failed, Task, Went
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.settings import Settings, properties_of
from gadgetron_qsm.site import logs
from gadgetron_qsm.site.privacy import line_of

if TYPE_CHECKING:
    from distributed import Future

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between looks at who is there
RESULT_S = 30.0  # for an answer of a few kB to come
WARN_S = 15.0  # without a worker, which somebody may start


@dataclass
class _Attempt:
    """A scan that a worker has."""

    task: Task
    worker: str
    future: Future
    began: bool = False


class Assignments:
    """Which scans wait, and who has the others."""

    def __init__(
        self, cluster: Cluster, crew: Crew, tasks: Sequence[Task], most: int, retries: int
    ) -> None:
        self._cluster, self._crew, self._most, self._retries = cluster, crew, most, retries
        self._waiting = deque(tasks)
        self._attempts: dict[str, _Attempt] = {}  # by Dask's key
        self._losses: Counter[str] = Counter()  # by name: workers that had the scan
        self._inbox: SimpleQueue[Future | tuple[str, float | None]] = SimpleQueue()
        self._alone_since: float | None = None
        self._warned = False
        self._next_look = 0.0
        self._begun = False

    def events(self) -> Iterator[Event]:
        """Give scans to workers, and tell what comes of them, until none is left."""
        client = self._cluster.client
        client.subscribe_topic(TOPIC, lambda event: self._inbox.put(tuple(event[1])))
        try:
            while self._waiting or self._attempts:
                yield from self._look()
                self._assign()
                yield from self._hear()
        except OSError:
            gone = f"the Dask scheduler {self._cluster.name} cannot be reached any more"
            yield from self._end(f"{gone}; start it and its workers again, and go on with --resume")
        finally:
            if client.status == "running":
                client.unsubscribe_topic(TOPIC)
                client.cancel([attempt.future for attempt in self._attempts.values()])

    def _look(self) -> Iterator[Event]:
        """Take scans from workers that are lost; give up when there have been none for too long."""
        if time.monotonic() < self._next_look:
            return
        self._cluster.mend()
        self._crew.look()
        self._next_look = time.monotonic() + LOOK_S
        for key, attempt in list(self._attempts.items()):
            if attempt.worker not in self._crew.fit:
                yield from self._lost(key)
        yield from self._wait()

    def _wait(self) -> Iterator[Event]:
        """Say how to have workers when there are none, and give up when it has been too long."""
        if self._crew.fit:
            self._alone_since = None
            return
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        why = next(iter(self._crew.refused.values()), None)
        hint = f"it {why}" if why else self._cluster.start
        line = f"no Dask worker of {self._cluster.name} can be used; {hint}"
        if now - self._alone_since > self._cluster.patience_s:
            yield from self._end(line)
        elif now - self._alone_since > WARN_S and not self._warned:
            self._warned = True
            log.warning("%s", line)

    def _assign(self) -> None:
        """Give each worker that has none a scan."""
        free = self._crew.fit.keys() - {attempt.worker for attempt in self._attempts.values()}
        for task in list(self._waiting):
            if not free or len(self._attempts) >= self._most:
                return
            if worker := self._worker_for(task, free):
                free.remove(worker)
                self._waiting.remove(task)
                self._submit(task, worker)

    def _worker_for(self, task: Task, free: set[str]) -> str | None:
        """Return a free worker that may have a scan, and who else has it already before others."""
        if holder := self._crew.holder(task.folder):
            return holder if holder in free else None
        fit = self._crew.with_gpu if self._takes_gpu(task) else self._crew.fit
        return next((worker for worker in fit if worker in free), None)

    def _takes_gpu(self, task: Task) -> bool:
        if task.server or not self._crew.with_gpu:
            return False
        return _may_use_device(task.config, tuple(task.overrides.items()))

    def _submit(self, task: Task, worker: str) -> None:
        """Give a worker a scan; in keys, which Dask shows and logs, there are no names."""
        held = worker == self._crew.holder(task.folder)
        key = f"{TOPIC}-{uuid4().hex}"
        future = self._cluster.client.submit(
            replayed,
            task,
            logs.options(),
            held,
            key=key,
            pure=False,
            workers=[worker],
            resources={"GPU": 1} if self._takes_gpu(task) else None,
        )
        self._attempts[key] = _Attempt(task, worker, future)
        future.add_done_callback(self._inbox.put)

    def _hear(self) -> Iterator[Event]:
        """Wait for what comes, and tell all that has come."""
        try:
            came = self._inbox.get(timeout=LOOK_S)
            while True:
                if isinstance(came, tuple):
                    yield from self._told(*came)
                else:
                    yield from self._settled(came)
                came = self._inbox.get_nowait()
        except Empty:
            return

    def _told(self, key: str, fraction: float | None) -> Iterator[Event]:
        """Hear from a worker; other cohorts of the same scheduler may have scans there as well."""
        attempt = self._attempts.get(key)
        if not attempt:
            return
        if fraction is not None:
            yield Went(attempt.task.name, fraction)
        elif not attempt.began:
            attempt.began = self._begun = True
            yield Began(attempt.task.name)
        else:
            yield from self._lost(key, to_its_address=True)

    def _settled(self, future: Future) -> Iterator[Event]:
        """Hear of the end of a scan, one way or another."""
        import distributed

        key = str(future.key)
        attempt = self._attempts.get(key)
        if not attempt or attempt.future is not future:
            return
        try:
            outcome = future.result(timeout=RESULT_S)
        except distributed.TimeoutError:  # its worker ended with the answer
            future.add_done_callback(self._inbox.put)
            return
        except distributed.KilledWorker:
            yield from self._lost(key)
            return
        except distributed.CancelledError as error:  # by none of us
            raise ConnectionError from error
        except Exception as error:
            outcome = Failed(attempt.task.name, f"Dask failed: {line_of(error)}")
        del self._attempts[key]
        if not attempt.began:
            yield Began(attempt.task.name)
        self._begun = True
        yield outcome

    def _lost(self, key: str, to_its_address: bool = False) -> Iterator[Event]:
        """Have a scan done again behind the others, or not any more.

        Where another process has come to the worker's address, Dask has given it the scan already.
        """
        attempt = self._attempts[key]
        name = attempt.task.name
        self._losses[name] += 1
        again = (lost := self._losses[name]) <= self._retries
        if again and to_its_address:
            yield Began(name)
            return
        del self._attempts[key]
        self._cluster.client.cancel([attempt.future])
        self._crew.forget(attempt.worker)  # no other scan may go there
        if again:
            self._waiting.append(attempt.task)
            return
        workers = "a worker was" if lost == 1 else f"{lost} workers were"
        why = f"{workers} lost with it: killed, out of memory or cut off; see their logs"
        yield Failed(name, why)

    def _end(self, why: str) -> Iterator[Event]:
        """Let go of all scans; raise QsmError when none has begun."""
        if not self._begun:
            raise QsmError(why)
        tasks = [attempt.task for attempt in self._attempts.values()] + list(self._waiting)
        self._attempts.clear()
        self._waiting.clear()
        for task in tasks:
            yield Failed(task.name, why)


@cache
def _may_use_device(config: str, overrides: tuple[tuple[str, str], ...]) -> bool:
    return Settings.from_properties(properties_of(config, dict(overrides))).device.use != "cpu"
