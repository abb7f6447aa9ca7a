"""Dask's schedulers: one that runs, one with workers of this machine, one with Slurm jobs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gadgetron_qsm.cohort.dask_slurm import slurm
from gadgetron_qsm.cohort.dask_start import (
    LOOPBACK,
    MISSING,
    NO_DASHBOARD,
    QUIET,
    Cluster,
    certified,
    interrupts_held_back,
)
from gadgetron_qsm.errors import QsmError, UsageError

if TYPE_CHECKING:
    from distributed import Security

ADDRESS = re.compile(r"((?:tcp|tls)://)?[^\s/:]+:\d+|((?:tcp|tls)://)?\[[0-9a-fA-F:.]+\]:\d+")
CONNECT_S = 10.0
START_S = 60.0  # for processes of this machine
TALKATIVE = ("distributed", "distributed.client", "distributed.gc", "tornado.application")


def require_scheduler(scheduler: str, jobs: int | None) -> None:
    """Raise UsageError for what `connected` takes for no scheduler, whether or not it runs."""
    if scheduler == "slurm" and jobs is None:
        raise UsageError("--scheduler slurm needs --jobs: how many Slurm jobs to submit")
    if scheduler not in ("local", "slurm") and not ADDRESS.fullmatch(scheduler):
        raise UsageError(f"--scheduler takes HOST:PORT, slurm or local, not '{scheduler}'")


@contextmanager
def connected(
    scheduler: str, jobs: int | None, most: int, shared: Path, patience_s: float
) -> Iterator[Cluster]:
    """Give the cluster that `scheduler` names; one of our own is closed at the end.

    There are to be `jobs` workers of this machine, or Slurm jobs, but not more than `most`.
    `shared` is a folder that workers see. Raises QsmError when there is no such cluster, and
    UsageError for another name, or without Dask.
    """
    require_scheduler(scheduler, jobs)
    try:
        import distributed  # noqa: F401 - it takes a second
    except ImportError as error:
        raise UsageError(MISSING) from error
    with _quiet():
        if scheduler == "local":
            with _local(min(jobs or _few(), most)) as cluster:
                yield cluster
        elif scheduler == "slurm":
            with slurm(min(jobs or most, most), shared) as cluster:
                yield cluster
        else:
            with _existing(scheduler, patience_s) as cluster:
                yield cluster


@contextmanager
def _existing(address: str, patience_s: float) -> Iterator[Cluster]:
    from distributed import Client, Security

    security = Security()  # as Dask's configuration says
    if "://" not in address:
        address = f"{'tls' if security.require_encryption else 'tcp'}://{address}"
    place = address.partition("://")[2]
    host, _, port = place.rpartition(":")
    try:
        _require_certificates(address, security)
        client = Client(address, timeout=CONNECT_S, security=security, set_as_default=False)
    except OSError as error:
        start = f"start one, as by 'dask scheduler --host {host} --port {port}'"
        told = " ".join(str(error).split())
        raise QsmError(f"no Dask scheduler answers at {place}; {start} ({told})") from error
    with client:
        yield Cluster(client, place, f"start some, as by 'dask worker {address}'", patience_s)


def _require_certificates(address: str, security: Security) -> None:
    """Raise UsageError where an address and Dask's configuration disagree on encryption."""
    certified = security.get_connection_args("client")["ssl_context"] is not None
    if address.startswith("tls://") and not certified:
        raise UsageError(
            "tls:// needs certificates, distributed.comm.tls in Dask's configuration: see "
            "docs/distributed.md"
        )
    if address.startswith("tcp://") and security.require_encryption:
        raise UsageError("Dask's configuration wants encryption: write tls:// before HOST:PORT")


@contextmanager
def _local(jobs: int) -> Iterator[Cluster]:
    """Share out this machine's memory and processors; others on it cannot connect."""
    from dask.system import CPU_COUNT
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    with ExitStack() as stack:
        with interrupts_held_back():
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=max(1, CPU_COUNT // jobs),
                memory_limit=MEMORY_LIMIT // jobs,
                host=LOOPBACK,
                protocol="tls://",
                security=certified(),
                scheduler_kwargs=NO_DASHBOARD,
                silence_logs=QUIET,
            )
            stack.enter_context(cluster)
            client = stack.enter_context(cluster.get_client())
        yield Cluster(client, "this machine", "see why its processes end", START_S)


def _few() -> int:
    """Return how many workers a machine has by default: the parallel parts of scans share it."""
    from dask.system import CPU_COUNT

    return max(1, CPU_COUNT // 4)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own lines off the terminal: what matters of them is told in ours."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(QUIET)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
