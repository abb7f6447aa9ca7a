from __future__ import annotations

import time

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.journal import Journal


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes a second further each time it is read."""
    seconds = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))


@pytest.mark.usefixtures("clock")
def test_a_stage_of_each_slice_takes_the_time_of_all():
    journal = Journal()
    for _ in range(3):
        with journal.stage("grappa", slices=3):
            pass
    assert journal.report()["timing_s"] == {"grappa": 3.0}
    assert journal.report()["provenance"] == {"grappa": {"slices": 3}}


@pytest.mark.usefixtures("clock")
def test_what_was_reported_before_goes_on():
    before = {"timing_s": {"ingest": 2.0}, "warnings": ["old"], "quality": {"voxels": 3}}
    journal = Journal(before)
    with journal.stage("coils"):
        journal.warn("new")
    report = journal.report()
    assert report["timing_s"] == {"ingest": 2.0, "coils": 1.0}
    assert report["warnings"] == ["old", "new"]
    assert report["quality"] == {"voxels": 3}
    assert before["warnings"] == ["old"]


def test_what_a_stage_refuses_is_told_with_its_name_and_leaves_no_provenance():
    journal = Journal()
    with pytest.raises(QsmError, match="grappa: too few lines"), journal.stage("grappa", lines=2):
        raise ValueError("too few lines")
    assert journal.report()["provenance"] == {}


def test_a_warning_is_noted_and_logged_once(caplog):
    journal = Journal()
    journal.warn("lines are missing")
    journal.warn("lines are missing")
    assert journal.warnings == ["lines are missing"]
    assert caplog.messages == ["lines are missing"]


def test_a_report_is_a_copy():
    journal = Journal()
    report = journal.report()
    journal.warn("later")
    assert report["warnings"] == []
