"""Scans at once do not plan with the same memory."""

from __future__ import annotations

import os
import signal

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest import memory
from gadgetron_qsm.mrd.messages import Text
from gadgetron_qsm.server import ledger as ledgers
from gadgetron_qsm.server.ledger import Ledger

GB = 10**9
OTHER = 4_000_000  # a process that is never there: numbers end below


@pytest.fixture
def residents(monkeypatch):
    """Memory that processes have, by number."""
    memories = {str(os.getpid()): GB}
    monkeypatch.setattr(ledgers, "_resident", lambda process: memories.get(process, 0))
    return memories


@pytest.fixture
def ledger():
    made = Ledger(free=lambda: 10.0 * GB)
    yield made
    made.close()


def of_another(ledger, planned, resident):
    with ledger._open() as entries:
        entries[str(OTHER)] = planned, resident


def planned(ledger):
    """The bytes that each process has planned with."""
    with ledger._open() as entries:
        return {int(process): size for process, (size, _) in entries.items()}


def test_all_that_is_free_is_for_the_only_scan(ledger):
    assert ledger.reserve(10 * GB) == 10 * GB
    assert planned(ledger) == {os.getpid(): 10 * GB}


def test_a_plan_takes_the_place_of_the_one_before(ledger):
    for size in (9 * GB, 10 * GB, 1 * GB):
        assert ledger.reserve(size) == 10 * GB
    assert planned(ledger) == {os.getpid(): 1 * GB}


def test_what_does_not_fit_is_not_planned(ledger):
    assert ledger.reserve(11 * GB) == 10 * GB
    assert planned(ledger) == {}


def test_what_another_has_planned_and_not_taken_is_not_free(ledger, residents):
    residents[str(OTHER)] = GB
    of_another(ledger, 6 * GB, GB)
    assert ledger.reserve(5 * GB) == 4 * GB
    residents[str(OTHER)] = 3 * GB  # it has taken 2 of them, which are free for nobody already
    assert ledger.reserve(5 * GB) == 6 * GB
    residents[str(OTHER)] = 9 * GB  # more than it had planned
    assert ledger.reserve(5 * GB) == 10 * GB


def test_the_plan_of_a_process_that_is_no_more_counts_no_more(ledger):
    of_another(ledger, 9 * GB, GB)
    assert ledger.reserve(5 * GB) == 10 * GB
    ledger.release(OTHER)
    assert planned(ledger) == {os.getpid(): 5 * GB}
    ledger.release()
    assert planned(ledger) == {}


def test_the_limit_of_all_scans_counts_whole_plans(residents):
    ledger = Ledger(4.0 * GB, free=lambda: 100.0 * GB)
    residents[str(OTHER)] = 50 * GB
    of_another(ledger, 3 * GB, GB)
    assert ledger.reserve(2 * GB) == 1 * GB
    assert ledger.reserve(1 * GB) == 1 * GB
    ledger.close()


def test_more_is_never_free_than_the_machine_has():
    ledger = Ledger(100.0 * GB, free=lambda: 1.0 * GB)
    assert ledger.reserve(2 * GB) == 1 * GB
    ledger.close()


def test_a_scan_that_does_not_fit_beside_the_others_is_refused_in_one_line(
    monkeypatch, ledger, residents
):
    monkeypatch.setattr(memory, "_reserve", [])
    monkeypatch.setattr(memory, "free_bytes", lambda: 10.0 * GB)
    residents[str(OTHER)] = GB
    of_another(ledger, 9 * GB, GB)
    shape = (5, 12, 100, 100, 100)  # 2.2 GB
    memory.require(shape, None)
    memory.share(ledger.reserve)
    with pytest.raises(QsmError, match=r"need 2\.2 GB, but 1\.0 GB are free beside the other"):
        memory.require(shape, None)
    with pytest.raises(QsmError, match=r"1\.0 GB are free"):
        memory.require(shape, 100.0)  # what settings of a client say does not make it more
    ledger.release(OTHER)
    memory.require(shape, None)
    assert os.getpid() in planned(ledger)


def test_who_waits_for_room_gets_it_when_another_has_less(ledger, residents, monkeypatch):
    residents[str(OTHER)] = GB
    of_another(ledger, 9 * GB, GB)
    waits = []

    def after_a_while(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            of_another(ledger, 4 * GB, GB)

    monkeypatch.setattr(ledgers.time, "sleep", after_a_while)
    assert ledger.await_room(5 * GB) == 6 * GB
    assert planned(ledger) == {OTHER: 4 * GB, os.getpid(): 5 * GB}
    assert len(waits) == 3


def test_nobody_waits_for_room_that_none_but_the_dead_have_planned_with(ledger):
    of_another(ledger, 9 * GB, GB)
    assert ledger.await_room(11 * GB) == 10 * GB
    assert os.getpid() not in planned(ledger)


def test_a_scan_beyond_its_own_limit_waits_for_nobody(monkeypatch):
    monkeypatch.setattr(memory, "_reserve", [])
    memory.share(lambda needed: pytest.fail(f"waits for {needed}"))
    with pytest.raises(QsmError, match=r"need 2\.2 GB, but 1\.0 GB are free"):
        memory.require((5, 12, 100, 100, 100), 1.0)


def test_as_many_processes_as_there_may_be_fit_in_the_file(ledger):
    with ledger._open() as entries:
        entries.update({str(OTHER + n): (10**13, 10**13) for n in range(64)})
    assert len(planned(ledger)) == 64


def test_a_process_that_is_ready_and_idle_plans_with_nothing(serve):
    served = serve()
    assert planned(served.dispatcher._staff._ledger) == {}


def test_processes_of_a_server_plan_together_and_one_that_ends_frees_its_plan(serve, until):
    served = serve(connections=3, memory_gb=3.1)  # 0.1 for the rehearsal of the third process
    first, second = served.client(), served.client()
    processes = [first.process(), second.process()]

    def plans(client, gigabytes):
        client.send(Text(f"plan {gigabytes * GB}"))
        return client.said()

    assert plans(first, 2) == "planned"
    assert plans(second, 2) == "refused"
    assert plans(second, 1) == "planned"
    assert set(planned(served.dispatcher._staff._ledger)) == set(processes)
    first.finish()
    until(lambda: plans(second, 3) == "planned")
    os.kill(processes[1], signal.SIGKILL)
    until(lambda: planned(served.dispatcher._staff._ledger) == {})
