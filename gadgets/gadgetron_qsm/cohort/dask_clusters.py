"""Dask's schedulers: one that runs, one with workers of this machine, one with Slurm jobs."""

from __future__ import annotations

import logging
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gadgetron_qsm.errors import QsmError, UsageError

if TYPE_CHECKING:
    from distributed import Client, Security

MISSING = (
    "--scheduler needs Dask, which is not installed here: pip install 'gadgetron-qsm[dask]', and "
    "the same in the environment of its scheduler and workers"
)
ADDRESS = re.compile(r"((?:tcp|tls)://)?[^\s/:]+:\d+|((?:tcp|tls)://)?\[[0-9a-fA-F:.]+\]:\d+")
log = logging.getLogger(__name__)

CONNECT_S = 10.0
LOCAL_S, NEVER_S = 60.0, float("inf")
MEND_S = 30.0  # between looks whether a Slurm job is to be submitted again
LOOPBACK = "127.0.0.1"
NO_DASHBOARD = {"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
TALKATIVE = ("distributed", "distributed.client", "distributed.gc", "tornado.application")
QUIET = logging.CRITICAL + 1


@dataclass(frozen=True)
class Cluster:
    """Who gives scans to workers: a client of its scheduler, and what it is called.

    `start` says how to have workers there, and `patience_s` how long to wait for the first. `mend`
    replaces workers that are lost, as far as the cluster does not.
    """

    client: Client
    name: str
    start: str
    patience_s: float
    mend: Callable[[], None] = lambda: None


@contextmanager
def connected(
    scheduler: str, jobs: int | None, most: int, shared: Path, patience_s: float
) -> Iterator[Cluster]:
    """Give the cluster that `scheduler` names; one of our own is closed at the end.

    There are to be `jobs` workers of this machine, or Slurm jobs, but not more than `most`.
    `shared` is a folder that workers see. Raises QsmError when there is no such cluster, and
    UsageError for another name, or without Dask.
    """
    try:
        import distributed  # noqa: F401 - it takes a second
    except ImportError as error:
        raise UsageError(MISSING) from error
    with _quiet():
        if scheduler == "local":
            with _local(min(jobs or _few(), most)) as cluster:
                yield cluster
        elif scheduler == "slurm":
            if jobs is None:
                raise UsageError("--scheduler slurm needs --jobs: how many Slurm jobs to submit")
            with _slurm(min(jobs, most), shared) as cluster:
                yield cluster
        elif ADDRESS.fullmatch(scheduler):
            with _existing(scheduler, patience_s) as cluster:
                yield cluster
        else:
            raise UsageError(f"--scheduler takes HOST:PORT, slurm or local, not '{scheduler}'")


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
        with _interrupts_held_back():
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=max(1, CPU_COUNT // jobs),
                memory_limit=MEMORY_LIMIT // jobs,
                host=LOOPBACK,
                protocol="tls://",
                security=_certified(),
                scheduler_kwargs=NO_DASHBOARD,
                silence_logs=QUIET,
            )
            stack.enter_context(cluster)
            client = stack.enter_context(cluster.get_client())
        yield Cluster(client, "this machine", "see why its processes end", LOCAL_S)


@contextmanager
def _slurm(jobs: int, shared: Path) -> Iterator[Cluster]:
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
        with _interrupts_held_back():
            cluster = SLURMCluster(
                processes=config.get("jobqueue.slurm.processes") or 1,
                security=_certified(Path(folder)),
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


def _few() -> int:
    """Return how many workers a machine has by default: the parallel parts of scans share it."""
    from dask.system import CPU_COUNT

    return max(1, CPU_COUNT // 4)


def _certified(folder: Path | None = None) -> Security:
    """Make certificates for this run: whoever may give work to Dask runs code as this user.

    They are in memory, or in files for workers that see `folder`.
    """
    from distributed import Security

    made = Security.temporary()
    if folder is None:
        return made
    files = {"cert": folder / "cert.pem", "key": folder / "key.pem"}
    for what, path in files.items():
        path.touch(mode=0o600)
        path.write_text(getattr(made, f"tls_worker_{what}"))
    roles = {
        f"tls_{role}_{what}": str(path)
        for role in ("client", "scheduler", "worker")
        for what, path in files.items()
    }
    return Security(require_encryption=True, tls_ca_file=str(files["cert"]), **roles)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start processes that Ctrl-C, which goes to all of a terminal, does not reach.

    The thread that starts them has the mask of this one. Here Ctrl-C comes afterwards: half a
    cluster cannot be closed.
    """
    came: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if in_main:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    resource_tracker.ensure_running()  # to start it later would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if in_main:
            signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt


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
