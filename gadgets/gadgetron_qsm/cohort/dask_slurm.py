"""Dask's workers as Slurm jobs."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gadgetron_qsm.cohort.dask_start import (
    MISSING,
    NO_DASHBOARD,
    QUIET,
    Cluster,
    certified,
    interrupts_held_back,
)
from gadgetron_qsm.errors import QsmError, UsageError

log = logging.getLogger(__name__)

MEND_S = 30.0  # between looks whether a job is to be submitted again
NEVER_S = float("inf")  # jobs may be pending for days


@contextmanager
def slurm(jobs: int, shared: Path) -> Iterator[Cluster]:
    """Submit jobs as Dask's configuration of the site says; others of the network cannot connect.

    A job has one process, for one scan, unless that configuration has more.
    """
    from dask import config

    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UsageError(MISSING) from error
    if not shutil.which("sbatch"):
        raise QsmError("there is no sbatch here: use --scheduler slurm where jobs are submitted")
    lacking = [key for key in ("cores", "memory") if not config.get(f"jobqueue.slurm.{key}")]
    if lacking:
        what = " and ".join(f"jobqueue.slurm.{key}" for key in lacking)
        raise UsageError(f"Dask's configuration lacks {what}: see docs/distributed.md")
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix=".dask-", dir=shared))
        with interrupts_held_back():
            cluster = SLURMCluster(
                processes=config.get("jobqueue.slurm.processes") or 1,
                security=certified(Path(folder)),
                scheduler_options={
                    **config.get("jobqueue.slurm.scheduler-options"),
                    **NO_DASHBOARD,
                },
                silence_logs=QUIET,
            )
            stack.enter_context(cluster)
            client = stack.enter_context(cluster.get_client())
        _submit(cluster, jobs)
        yield Cluster(client, "Slurm", "see 'squeue --me'", NEVER_S, _Mender(cluster, jobs))


def _submit(cluster: Any, jobs: int) -> None:
    """Have so many jobs submitted, or replaced; raise QsmError when Slurm does not take one."""
    from distributed import Status

    try:
        cluster.sync(_submitted, cluster, jobs)
    except RuntimeError as error:  # what sbatch says, in several lines
        for job in cluster.workers.values():
            if job.job_id is None:
                job.status = Status.failed  # else the cluster cannot be closed
        raise QsmError(f"Slurm does not take a job: {error}") from error


async def _submitted(cluster: Any, jobs: int) -> None:
    """Do what its `scale` does, which tells nobody of a job that is refused."""
    while len(cluster.worker_spec) < jobs:
        cluster.worker_spec.update(cluster.new_worker_spec())
    await cluster


class _Mender:
    """Has jobs submitted again that are lost, as where their time was over."""

    def __init__(self, cluster: Any, jobs: int) -> None:
        self._cluster, self._jobs, self._last = cluster, jobs, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._last > MEND_S:
            self._last = time.monotonic()
            try:
                _submit(self._cluster, self._jobs)
            except QsmError as error:
                log.warning("%s", error)
