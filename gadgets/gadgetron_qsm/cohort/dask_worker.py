"""What runs in a Dask worker: one scan at a time, however many threads the worker has.

Nothing here raises: Dask's worker would log the arguments, and texts that may quote a patient.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gadgetron_qsm.cohort.task import Done, Failed, Task, perform
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import memory
from gadgetron_qsm.processors import OURS
from gadgetron_qsm.site import logs
from gadgetron_qsm.site.privacy import line_of

log = logging.getLogger(__name__)

TOPIC = "gadgetron-qsm"  # of what workers tell while they compute: [key, fraction], None at first
OFTEN_S = 0.5  # between two fractions: of a thousand scans each costs the scheduler a message
OF_MAPS = ("numpy", "scipy", "numba")  # libraries that maps' last digits depend on
PART = 0.8  # of its memory limit; Dask pauses a worker that has more

_alone = threading.Lock()  # settings of threads, and the memory plan, are those of a process
_folders: list[Path] = []  # of the scan that is computed
_last: list[tuple[Task, Done | Failed]] = []  # what came of the one before


@dataclass(frozen=True)
class About:
    """What a worker is: its host, the versions that maps depend on, whether it offers a GPU.

    `unseen` is the first path that it should have seen and does not; `folder` that of a scan it
    computes already, as for a cohort that was killed.
    """

    host: str
    versions: Mapping[str, str]
    gpu: bool
    unseen: Path | None
    folder: Path | None


def versions() -> dict[str, str]:
    """Return the versions that maps depend on in this process."""
    return {"Python": platform.python_version(), **{name: version(name) for name in OF_MAPS}}


def about(paths: Sequence[Path], dask_worker: Any) -> About:
    """Tell what this worker is, and whether it sees all of these paths."""
    unseen = (path for path in paths if not os.access(path, os.R_OK))
    return About(
        socket.gethostname(),
        versions(),
        dask_worker.state.total_resources.get("GPU", 0) >= 1,
        next(unseen, None),
        next(iter(_folders), None),
    )


def replayed(task: Task, options: logs.Options, held: bool = False) -> Done | Failed:
    """Replay a scan in this worker when none else is computed here, and tell how it goes.

    It takes as many processors as the worker has threads, and the memory that its limit leaves.
    `held` is of a scan that was computed here when it was asked for: what came of that holds.
    """
    from distributed import get_worker

    worker = get_worker()
    with _alone:
        if held and _last and _last[0][0] == task:
            return _last[0][1]
        logs.set_up(options)
        os.environ.setdefault(OURS, str(worker.state.nthreads))
        memory.share(Limit(worker.memory_manager.memory_limit).free)
        with _computing(task.folder):
            outcome = _outcome(task, _Teller(worker))
        _last[:] = [(task, outcome)]
        return outcome


def _outcome(task: Task, tell: _Teller) -> Done | Failed:
    try:
        if not task.raw.exists():
            where = f"{task.raw} is not there on {socket.gethostname()}"
            raise QsmError(f"{where}: workers need the same folders, at the same paths")
        return Done(task.name, perform(task, tell.went))
    except QsmError as error:
        return Failed(task.name, str(error))
    except Exception as error:
        log.error("the chain failed", exc_info=error)
        return Failed(task.name, f"the chain failed: {line_of(error)}")


@contextmanager
def _computing(folder: Path) -> Iterator[None]:
    _folders.append(folder)
    try:
        yield
    finally:
        _folders.clear()


class _Teller:
    """Tells whoever asked for the scan that it has begun, and then how far it is."""

    def __init__(self, worker: Any) -> None:
        self._worker, self._key = worker, worker.get_current_task()
        self._next = 0.0
        self._tell(None)

    def went(self, fraction: float) -> None:
        """Tell how far a scan is, unless that was told just now."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + OFTEN_S
            self._tell(round(fraction, 3))

    def _tell(self, fraction: float | None) -> None:
        self._worker.log_event(TOPIC, [self._key, fraction])


class Limit:
    """The memory limit in bytes that Dask ends a worker at; 0 or None where there is none."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._before = _resident() if limit else 0

    def free(self, needed: int) -> float:
        """Return what a scan may take; raise QsmError when the limit is what it does not fit in."""
        if self._limit:
            left = PART * self._limit - self._before
            if needed > left:
                raise QsmError(
                    f"the scan needs {needed / 1e9:.1f} GB, but {max(0, left) / 1e9:.1f} GB are "
                    f"left to it of its Dask worker's limit of {self._limit / 1e9:.1f} GB; start "
                    "the worker with a larger --memory-limit"
                )
        return memory.free_bytes()


def _resident() -> int:
    import psutil  # which Dask needs

    return int(psutil.Process().memory_info().rss)
