"""Scans of a cohort on Dask's workers: those of a scheduler that runs, and of our own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from gadgetron_qsm import __version__
from gadgetron_qsm.cohort.dask_crew import Crew
from gadgetron_qsm.cohort.dask_worker import Limit, about, replayed
from gadgetron_qsm.cohort.distributed import performed
from gadgetron_qsm.cohort.finished import NAME, read_finished, settings_hash
from gadgetron_qsm.cohort.task import Began, Done, Failed, Task, Went, perform
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.site import logs
from tests.missing import missing

try:
    import dask
    import dask_jobqueue  # noqa: F401 - its defaults belong to the configuration
    import distributed
except ImportError:
    missing("Dask is not installed: pip install 'gadgetron-qsm[dask]'")

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}
ON_CPU = {**QUICK, "device.use": "cpu"}
NO_SCAN = "no HDF5 file and no MRD stream"
OF_THE_SITE = {
    "cores": 1,
    "memory": "2 GB",
    "queue": "long",
    "interface": "lo",
    "job-extra-directives": ["--gres=gpu:1"],
    "worker-extra-args": ["--resources GPU=1"],
}
# What stands in for Slurm: a job is a session of processes.
SBATCH = """#!/bin/sh -e
number=$(ls {jobs} | wc -l)
cp "$1" {jobs}/$number.sh
setsid sh {jobs}/$number.sh > {jobs}/$number.log 2>&1 &
echo $! > {jobs}/$number.session
echo "Submitted batch job $number"
"""
SCANCEL = """#!/bin/sh
kill -- -$(cat {jobs}/$1.session)
mv {jobs}/$1.session {jobs}/$1.cancelled
"""
LONG_S = 60.0  # for what is sure to come


@contextmanager
def scheduler(*workers):
    """A scheduler of this process, and worker processes with such options."""
    options = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    nannies = {
        number: {
            "cls": distributed.Nanny,
            "options": {"host": "127.0.0.1", "memory_limit": 0, "silence_logs": "CRITICAL", **own},
        }
        for number, own in enumerate(workers)
    }
    running = {"cls": distributed.Scheduler, "options": options}
    with distributed.SpecCluster(nannies, running, silence_logs="CRITICAL") as cluster:
        yield cluster


@contextmanager
def program(name, *options, **environment):
    """One of Dask's programs, killed at the end."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, *options], env={**os.environ, **environment}, stderr=subprocess.DEVNULL
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def running():
    """Two workers of two threads, of which the second offers a GPU."""
    with scheduler({"nthreads": 2}, {"nthreads": 2, "resources": {"GPU": 1}}) as found:
        yield found


@pytest.fixture
def cluster(running):
    """The same when both are there: the test before may have killed one."""
    until(lambda: len(running.scheduler.workers) == 2)
    return running


@pytest.fixture(scope="module")
def bare():
    """A scheduler without workers."""
    with scheduler() as found:
        yield found


@pytest.fixture
def client(cluster):
    with cluster.get_client() as found:
        yield found


class Held:
    """A scan that whoever reads it cannot get to the end of before it is let go."""

    def __init__(self, folder, name, settings=ON_CPU):
        self.raw = folder / f"{name}.h5"
        os.mkfifo(self.raw)
        self.task = Task(name, self.raw, folder / "out" / name, "", overrides=settings)
        self._writer = None

    @property
    def is_read(self):
        """Whether somebody has begun to."""
        if self._writer is None:
            with suppress(OSError):  # ENXIO
                self._writer = os.open(self.raw, os.O_WRONLY | os.O_NONBLOCK)
        return self._writer is not None

    def let_go(self):
        """End it: it turns out to be no scan."""
        until(lambda: self.is_read)
        self.end()

    def end(self):
        """The same, and whoever has not begun to read it finds no scan either."""
        if self.raw.is_fifo():
            other = self.raw.with_suffix(".txt")
            other.write_text("no scan")
            is_read = self.is_read
            other.replace(self.raw)
            if is_read:
                os.close(self._writer)


@pytest.fixture
def hold(tmp_path):
    """A function that makes such scans, of which none is held beyond the test."""
    made = []

    def scan(name, settings=ON_CPU):
        made.append(Held(tmp_path, name, settings))
        return made[-1]

    yield scan
    for held in made:
        held.end()


def until(holds):
    end = time.monotonic() + LONG_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def folders(client):
    """The scan that each worker computes, or None, that of the GPU last."""
    told = client.run(about, ()).values()
    return [worker.folder for worker in sorted(told, key=lambda worker: worker.gpu)]


@contextmanager
def in_background(work):
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        yield
    done.result()


def test_maps_are_those_that_this_process_makes(raw, tmp_path):
    here = perform(Task("here", raw, tmp_path / "here", "", overrides=QUICK))
    text = tmp_path / "text.h5"
    text.write_text("no scan")
    tasks = [
        Task("text", text, tmp_path / "text", "", overrides=QUICK),
        Task("scan", raw, tmp_path / "scan", settings_hash("qsm", QUICK), overrides=QUICK),
    ]
    *before, last = performed(tasks, "local", jobs=1)
    assert last == Done("scan", read_finished(tmp_path / "scan"))
    assert last.finished.maps == here.maps
    assert before[:3] == [
        Began("text"),
        Failed("text", f"text.h5 is {NO_SCAN}; convert it to ISMRMRD first"),
        Began("scan"),
    ]
    assert before[3:]
    assert all(isinstance(event, Went) and event.name == "scan" for event in before[3:])


def kill_who_computes(client):
    told = client.run(about, ())
    (address,) = [address for address, worker in told.items() if worker.folder]
    os.kill(client.run(os.getpid, workers=[address])[address], signal.SIGKILL)


def test_a_scan_of_a_killed_worker_is_done_again(cluster, client, hold):
    held = hold("scan")
    events = performed([held.task], cluster.scheduler_address)
    assert next(events) == Began("scan")
    kill_who_computes(client)
    assert next(events) == Began("scan")
    held.let_go()
    (last,) = events
    assert NO_SCAN in last.reason


def test_a_scan_that_costs_too_many_workers_has_failed(cluster, client, hold, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # Dask itself gives up first
    held, other = hold("scan"), hold("other")
    events = performed([held.task, other.task], cluster.scheduler_address, retries=0, jobs=1)
    assert next(events) == Began("scan")
    kill_who_computes(client)
    failed = next(events)
    assert failed.name == "scan"
    assert failed.reason.startswith("a worker was lost with it")
    assert next(events) == Began("other")
    other.let_go()
    assert NO_SCAN in next(events).reason


def test_a_worker_computes_one_scan_at_a_time(client, hold):
    scans = [hold(name) for name in "ab"]
    worker = min(client.nthreads())
    futures = [
        client.submit(replayed, scan.task, logs.options(), pure=False, workers=[worker])
        for scan in scans
    ]
    until(lambda: any(scan.is_read for scan in scans))
    first, second = sorted(scans, key=lambda scan: not scan.is_read)
    time.sleep(0.3)
    assert not second.is_read
    first.let_go()
    second.let_go()
    assert {future.result(LONG_S).name for future in futures} == {"a", "b"}


def test_where_a_worker_offers_a_gpu_scans_go_there(cluster, client, hold):
    scans = [hold(name, QUICK) for name in "ab"]
    events = performed([scan.task for scan in scans], cluster.scheduler_address)
    for scan in scans:
        assert next(events) == Began(scan.task.name)
        assert folders(client) == [None, scan.task.folder]
        scan.let_go()
        assert isinstance(next(events), Failed)
    assert not list(events)


def test_scans_that_are_for_the_cpu_go_anywhere(cluster, client, hold):
    scans = [hold(name) for name in "ab"]
    events = performed([scan.task for scan in scans], cluster.scheduler_address)
    assert {next(events).name for _ in scans} == {"a", "b"}
    assert None not in folders(client)
    for scan in scans:
        scan.let_go()
    assert [type(event) for event in events] == [Failed, Failed]


def test_a_cohort_that_is_stopped_and_resumed_gets_what_is_computed(cluster, client, hold):
    scans = [hold(name) for name in "ab"]
    tasks = [scan.task for scan in scans]
    with closing(performed(tasks, cluster.scheduler_address)) as events:
        assert {next(events).name for _ in scans} == {"a", "b"}
        until(lambda: all(scan.is_read for scan in scans))
    before = folders(client)
    until(lambda: not cluster.scheduler.tasks)
    for task in tasks:  # whoever begins it anew would remove that
        task.folder.mkdir(parents=True)
        (task.folder / NAME).touch()

    def let_go():
        until(lambda: len(cluster.scheduler.tasks) == len(scans))
        assert folders(client) == before
        for scan in scans:
            scan.let_go()

    with in_background(let_go):
        ends = [
            e for e in performed(tasks[::-1], cluster.scheduler_address) if isinstance(e, Failed)
        ]
    assert len(ends) == len(scans)
    assert all((task.folder / NAME).exists() for task in tasks)


def test_a_worker_that_does_not_see_the_files_gets_none(client, tmp_path, caplog):
    crew = Crew(client, [tmp_path / "absent.h5"], [tmp_path])
    crew.look()
    assert not crew.fit
    assert set(crew.refused) == set(client.nthreads())
    assert caplog.text.count("absent.h5 as it is here: workers need the same folders") == 1


def test_a_worker_with_other_libraries_is_told_of(client, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.cohort.dask_crew.versions", lambda: {"numpy": "0.1"})
    crew = Crew(client, [], [tmp_path])
    crew.look()
    assert set(crew.fit) == set(client.nthreads())
    told = f"a worker has numpy {np.__version__}, not 0.1 as here: its maps may differ"
    assert caplog.text.count(told) == 1


def test_a_scan_is_planned_within_the_limit_of_its_worker():
    assert Limit(0).free(10**15) > 0
    assert Limit(10**15).free(10**9) > 0
    with pytest.raises(QsmError, match=r"needs 4\.0 GB, .* its Dask worker's limit of 5\.0 GB"):
        Limit(5 * 10**9).free(4 * 10**9)


def test_without_workers_it_says_how_to_start_some(bare, tmp_path):
    task = Task("scan", tmp_path / "scan.h5", tmp_path / "scan", "")
    address = bare.scheduler_address
    with pytest.raises(
        QsmError, match=f"no Dask worker .* can be used; .* 'dask worker {address}'"
    ):
        next(performed([task], address, wait_s=0.1))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("__version__ = '0.0.9'", f"has gadgetron-qsm 0.0.9: install version {__version__}"),
        ("raise ModuleNotFoundError", "has no gadgetron-qsm"),
    ],
)
def test_a_worker_of_another_version_gets_no_scan(bare, tmp_path, content, told):
    task = Task("scan", Path(__file__), tmp_path / "scan", "")
    (tmp_path / "gadgetron_qsm").mkdir()
    (tmp_path / "gadgetron_qsm" / "__init__.py").write_text(content)
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    options = ("--no-nanny", "--no-dashboard", "--nthreads", "1")
    with program("worker", bare.scheduler_address, *options, PYTHONPATH=path):
        until(lambda: bare.scheduler.workers)
        with pytest.raises(QsmError, match=told):
            next(performed([task], bare.scheduler_address, wait_s=0.1))


def test_when_the_scheduler_ends_all_scans_that_are_left_have_failed(hold, tmp_path):
    held, other = hold("scan"), hold("other")
    at = tmp_path / "at.json"
    file = ("--scheduler-file", str(at))
    with program("scheduler", "--no-dashboard", "--port", "0", *file) as scheduler:
        until(lambda: at.exists() and at.read_text())
        address = json.loads(at.read_text())["address"]
        with program("worker", "--no-nanny", "--no-dashboard", "--nthreads", "1", address):
            events = performed([held.task, other.task], address)
            assert next(events) == Began("scan")
            scheduler.kill()
            ends = list(events)
    assert {type(event) for event in ends} == {Failed}
    assert {event.name for event in ends} == {"scan", "other"}
    assert all("cannot be reached" in event.reason for event in ends)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Where a Slurm that stands in has its jobs; the site's configuration is there."""
    programs, jobs = tmp_path / "bin", tmp_path / "jobs"
    for folder in (programs, jobs):
        folder.mkdir()
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(script.format(jobs=jobs))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in OF_THE_SITE.items()}):
        yield jobs


def test_slurm_jobs_are_as_the_site_has_them_configured(slurm, tmp_path):
    text, shared = tmp_path / "text.h5", tmp_path / "shared"
    text.write_text("no scan")
    tasks = [Task(name, text, shared / name, "", overrides=QUICK) for name in "ab"]
    events = list(performed(tasks, "slurm", jobs=1))
    assert [type(event) for event in events] == [Began, Failed] * 2
    (script,) = slurm.glob("*.sh")
    for part in ("#SBATCH --gres=gpu:1", "#SBATCH -p long", "--resources GPU=1", "--tls-key"):
        assert part in script.read_text()
    assert script.with_suffix(".cancelled").exists()
    assert not list(shared.glob(".*"))


def test_a_job_that_slurm_does_not_take_is_told(slurm, tmp_path):
    slurm.rmdir()
    task = Task("scan", tmp_path / "scan.h5", tmp_path / "scan", "")
    with pytest.raises(QsmError, match=r"Slurm does not take a job: .* No such file"):
        next(performed([task], "slurm", jobs=1))


@pytest.mark.usefixtures("slurm")
def test_a_site_without_slurm_or_its_configuration_is_told(tmp_path, monkeypatch):
    task = Task("scan", tmp_path / "scan.h5", tmp_path / "scan", "")
    with (
        dask.config.set({"jobqueue.slurm.memory": None}),
        pytest.raises(UsageError, match=r"lacks jobqueue\.slurm\.memory: see docs"),
    ):
        next(performed([task], "slurm", jobs=1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QsmError, match="there is no sbatch here"):
        next(performed([task], "slurm", jobs=1))


@pytest.mark.parametrize(
    ("scheduler", "told"),
    [
        ("nowhere", "takes HOST:PORT, slurm or local, not 'nowhere'"),
        ("slurm", "--scheduler slurm needs --jobs"),
    ],
)
def test_what_is_no_scheduler_is_told(scheduler, told, tmp_path):
    task = Task("scan", tmp_path / "scan.h5", tmp_path / "scan", "")
    with pytest.raises(UsageError, match=told):
        next(performed([task], scheduler))


@pytest.mark.parametrize(
    ("address", "encrypted", "told"),
    [
        ("tls://127.0.0.1:9", False, "tls:// needs certificates"),
        ("tcp://127.0.0.1:9", True, "wants encryption: write tls://"),
        ("127.0.0.1:9", True, "tls:// needs certificates"),
    ],
)
def test_encryption_is_as_dask_is_configured(address, encrypted, told, tmp_path):
    task = Task("scan", tmp_path / "scan.h5", tmp_path / "scan", "")
    with (
        dask.config.set({"distributed.comm.require-encryption": encrypted}),
        pytest.raises(UsageError, match=told),
    ):
        next(performed([task], address))


def test_where_no_scheduler_answers_it_says_how_to_start_one(tmp_path, monkeypatch):
    monkeypatch.setattr("gadgetron_qsm.cohort.dask_clusters.CONNECT_S", 0.1)
    task = Task("scan", tmp_path / "scan.h5", tmp_path / "scan", "")
    start = "'dask scheduler --host 127.0.0.1 --port 9'"
    with pytest.raises(QsmError, match=rf"no Dask scheduler answers at 127\.0\.0\.1:9; .*{start}"):
        next(performed([task], "127.0.0.1:9"))


def test_without_dask_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    task = Task("scan", tmp_path / "scan.h5", tmp_path / "scan", "")
    with pytest.raises(UsageError, match=r"pip install 'gadgetron-qsm\[dask\]'"):
        next(performed([task], "local"))
