"""How processes end, as their parent and they themselves see to it."""

from __future__ import annotations

import multiprocessing
import time
from types import SimpleNamespace

import pytest

from gadgetron_qsm.server import member, orders, worker
from gadgetron_qsm.server.child import how_it_ended
from gadgetron_qsm.server.member import Member
from tests.server.jobs import Told


@pytest.mark.parametrize(
    ("code", "how"),
    [(0, "status 0"), (3, "status 3"), (-9, "signal 9, SIGKILL"), (-35, "signal 35")],
)
def test_an_end_is_told_by_status_or_signal_named_or_not(code, how):
    assert how_it_ended(code) == how


def test_the_parent_does_not_wait_for_a_process_that_does_not_go(monkeypatch):
    monkeypatch.setattr(member, "REAP_S", 0.05)
    lingering = Member.__new__(Member)
    lingering.control, other = orders.pair()
    lingering.process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    lingering.process.start()
    killed = []
    monkeypatch.setattr(lingering.process, "kill", lambda: killed.append(True))  # to no avail
    start = time.monotonic()
    assert lingering.reap() == "it does not quite end"
    assert time.monotonic() - start < 5
    assert killed
    monkeypatch.undo()
    other.close()
    lingering.process.kill()
    lingering.process.join()


@pytest.mark.parametrize("scans", [True, False])
def test_a_process_without_a_scan_has_longer_to_send_its_last_object(monkeypatch, scans):
    ours, theirs = orders.pair()
    done = []
    monkeypatch.setattr(time, "sleep", done.append)
    monkeypatch.setattr("os._exit", done.append)
    at_work = worker._Worker(theirs, Told())
    if scans:
        monkeypatch.setattr(at_work, "_scan", (1, SimpleNamespace(end=done.append)))
    ours.close()
    at_work.obey()
    theirs.close()
    assert done == ([worker.PARENT_GONE, 10, 1] if scans else [20, 1])
