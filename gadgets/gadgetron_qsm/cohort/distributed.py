"""A cohort replayed by Dask's workers, on one machine or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gadgetron_qsm.cohort.dask_assignments import Assignments
from gadgetron_qsm.cohort.dask_clusters import connected
from gadgetron_qsm.cohort.dask_crew import Crew
from gadgetron_qsm.cohort.task import Event, Task
from gadgetron_qsm.errors import QsmError

WAIT_S = 60.0  # without a worker
RETRIES = 2


def performed(
    tasks: Sequence[Task],
    scheduler: str,
    *,
    jobs: int | None = None,
    retries: int = RETRIES,
    wait_s: float = WAIT_S,
) -> Iterator[Event]:
    """Have scans replayed by Dask's workers, and tell what becomes of them.

    `scheduler` is HOST:PORT, tcp:// and tls:// before it or not, of one that runs; "local" for
    `jobs` workers on this machine; "slurm" for as many jobs. Of a scheduler that runs at most
    `jobs` workers are used. A scan whose worker is lost is given to another, `retries` times; one
    that fails is not. Where workers offer a GPU, scans that may compute on one go to those alone.
    When this is closed, what has not begun does not, and a cluster of our own ends; workers of
    another finish the scan that they have.

    Raises UsageError without Dask or for another scheduler, and QsmError when it cannot be reached
    or has no fit worker for `wait_s`. Once a scan has begun, such things are told of each that is
    left.
    """
    if not tasks:
        return
    folders = _made(tasks)
    with connected(scheduler, jobs, len(tasks), folders[0], wait_s) as cluster:
        crew = Crew(cluster.client, (tasks[0].raw,), folders)
        yield from Assignments(cluster, crew, tasks, jobs or len(tasks), retries).events()


def _made(tasks: Sequence[Task]) -> list[Path]:
    """Make and return the folders that workers are to see before they get a scan."""
    if len(tasks) == 1:  # its folder is the user's, and what that is in may not be
        folders = [tasks[0].folder]
    else:
        folders = sorted({task.folder.parent for task in tasks})
    folders += sorted({task.bids for task in tasks if task.bids})
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QsmError(f"cannot make {error.filename}: {error.strerror}") from error
    return folders
