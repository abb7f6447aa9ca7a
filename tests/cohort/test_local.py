"""Scans at once in processes of their own: one that dies costs its scan, and memory is shared."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
from dataclasses import replace

import pytest

from gadgetron_qsm.cohort import local
from gadgetron_qsm.cohort.finished import read_finished, settings_hash
from gadgetron_qsm.cohort.local import performed
from gadgetron_qsm.cohort.task import Began, Done, Failed, Task, Went
from gadgetron_qsm.cohort.worker import placed
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.server.ledger import Ledger
from gadgetron_qsm.site import logs
from tests.cohort.conftest import QUICK, break_in_the_chain, break_on_first, leave

GB = 1e9


@pytest.fixture
def tasks(raw, tmp_path):
    settings = settings_hash("qsm", QUICK)
    return [
        Task(name, raw, tmp_path / name, settings, overrides=QUICK) for name in ("first", "second")
    ]


def ends(events):
    return {event.name: event for event in events if isinstance(event, Done | Failed)}


def test_scans_that_do_not_fit_beside_each_other_wait_and_all_are_done(tasks, capsys):
    logs.set_up(logs.Options(logging.INFO))
    ledger = Ledger(1.6 * GB)  # each plans with 1.5
    events = list(performed(tasks, 2, ledger=ledger))
    ledger.close()
    assert {type(end) for end in ends(events).values()} == {Done}
    began = [event.name for event in events if isinstance(event, Began)]
    assert sorted(began) == ["first", "second"]
    assert events.index(Began("first")) < events.index(Went("first", 1.0))
    for task in tasks:
        assert read_finished(task.folder) == ends(events)[task.name].finished
    assert not multiprocessing.active_children()
    assert capsys.readouterr().err.count("samples need 1.5 GB; 1.6 GB are free") == 2


def test_a_process_that_is_killed_costs_its_scan_alone(tasks):
    events = []
    for event in performed(tasks, 1):
        events.append(event)
        if isinstance(event, Went) and event.name == "first":
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)
    died, done = ends(events)["first"], ends(events)["second"]
    assert died.reason.startswith("its process ended with signal 9, SIGKILL; the system may have")
    assert isinstance(done, Done)
    assert read_finished(tasks[0].folder) is None


def test_nothing_converted_is_left_by_a_process_that_is_killed(tasks, dat, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    for event in performed([replace(tasks[0], raw=dat)], 1):
        if isinstance(event, Went):
            assert list(temporary.rglob("*.mrd"))
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)
    assert isinstance(event, Failed)
    assert not list(temporary.iterdir())


def test_a_process_that_showed_a_fault_gets_no_other_scan(tasks, monkeypatch):
    monkeypatch.setattr(local, "work", break_on_first)
    events = list(performed(tasks, 1))
    assert ends(events)["first"].reason.startswith("a fault in the program: ")
    assert isinstance(ends(events)["second"], Done)


def test_a_chain_that_showed_a_fault_gets_no_other_scan(tasks, monkeypatch, tmp_path):
    monkeypatch.setattr(local, "work", break_in_the_chain)
    monkeypatch.setenv("WHO", str(tmp_path / "who"))
    reasons = [end.reason for end in ends(performed(tasks, 1)).values()]
    assert all("a fault" in reason for reason in reasons), reasons
    assert len(set((tmp_path / "who").read_text().split())) == 2


def test_what_would_not_fit_alone_is_refused(tasks):
    ledger = Ledger(1 * GB)
    end = ends(performed(tasks[:1], 1, ledger=ledger))["first"]
    ledger.close()
    assert "need 1.5 GB, but 1.0 GB are free" in end.reason


def test_a_device_is_ours_to_choose_unless_a_server_computes(tasks):
    assert placed(tasks[0], None) == tasks[0]
    assert placed(tasks[0], 2).overrides == QUICK | {"device.number": "2"}
    there = replace(tasks[0], server=("127.0.0.1", 9002))
    assert placed(there, 2) == there


def test_processes_that_never_get_ready_are_given_up(tasks, monkeypatch):
    monkeypatch.setattr(local, "work", leave)
    with pytest.raises(QsmError, match="processes for scans do not get ready: status 3"):
        list(performed(tasks, 2))
    assert not multiprocessing.active_children()
