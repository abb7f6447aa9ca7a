"""What became of a scan, told by those who worked on it."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading
from contextvars import copy_context

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    Acquisition,
    Bucket,
    Image,
    Text,
)
from gadgetron_qsm.mrd.traffic import Traffic
from gadgetron_qsm.mrd.wire import PeerGone
from gadgetron_qsm.peak_memory import forget_peak, peak_memory_bytes
from gadgetron_qsm.site import scans
from tests.site.connection import connected

READOUT = Acquisition(np.zeros((), ACQUISITION_HEADER)[()], np.zeros((4, 16), np.complex64))
IMAGE = Image(np.zeros((), IMAGE_HEADER)[()], np.zeros((1, 2, 3, 4), np.float32))


def test_what_went_over_the_connection_is_counted():
    connection = connected()
    with scans.scanning(connection) as scan:
        for message in (READOUT, Bucket([READOUT, READOUT], [READOUT]), IMAGE, Text("INFO")):
            connection.traffic.came(message)
        assert scan.summary().latency_s is None
        connection.traffic.sent(Text("INFO"))
        assert scan.summary().latency_s is None
        connection.traffic.sent(IMAGE)
    summary = scan.summary()
    assert (summary.readouts, summary.images, summary.data_bytes) == (4, 1, 4 * 512 + 96)
    assert 0 <= summary.latency_s <= summary.seconds


def test_data_behind_the_last_image_have_no_latency():
    traffic = Traffic()
    traffic.sent(IMAGE)
    traffic.came(READOUT)
    assert traffic.latency_s is None


def test_what_was_done_adds_up_and_results_are_told_apart_by_repetition():
    with scans.scanning(connected()) as scan:
        for seconds in (1.0, 0.5):
            scans.timed("ingest", seconds)
        scans.timed("field", 2.0)
        for peak_bytes in (7, 5):
            scans.used_device(peak_bytes)
        scans.see({"warnings": ["a"]}, 0)
        scans.see({"warnings": ["a", "b"]}, 0)
        scans.see({}, 1)
        for name in ("chi", "magnitude", "magnitude"):
            scans.made(name)
        scans.took("store.outbox", 3)
        scans.took("store.outbox", 0)
    summary = scan.summary()
    assert summary.stages_s == {"ingest": 1.5, "field": 2.0}
    assert (summary.repetitions, summary.warnings, summary.peak_device_bytes) == (2, 2, 7)
    assert summary.maps == {"chi": 1, "magnitude": 2}
    assert summary.objects == {"store.outbox": 3}
    assert pickle.loads(pickle.dumps(summary)) == summary


def test_a_stage_of_the_journal_is_timed_for_the_scan_and_what_was_reported_before_is_not():
    with scans.scanning(connected()) as scan:
        journal = Journal({"timing_s": {"a client's own": "1.5"}})
        with journal.stage("field"):
            pass
        scans.see(journal.report(), 0)
    assert list(scan.summary().stages_s) == ["field"]
    assert scan.summary().stages_s["field"] >= 0


def test_a_reason_that_quotes_a_client_without_end_is_cut():
    with scans.scanning(connected()) as scan:
        scan.failed(ValueError("x" * 100_000))
    assert len(scan.summary().error) == scans.LONGEST


@pytest.mark.parametrize(
    ("error", "outcome", "told"),
    [
        (QsmError("no echo times of Zebedee"), "failed", "no echo times of [hidden]"),
        (PeerGone("the peer closed"), "gone", "the peer closed"),
        (ValueError("Zebedee"), "fault", "ValueError: [hidden]"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt:"),
    ],
)
def test_what_ends_a_scan_is_its_outcome(error, outcome, told):
    with pytest.raises(type(error)), scans.scanning(connected()) as scan:
        raise error
    assert (scan.summary().outcome, scan.summary().error) == (outcome, told)


def test_the_first_reason_is_the_outcome():
    with pytest.raises(SystemExit), scans.scanning(connected()) as scan:
        sys.exit(scan.failed(QsmError("no echo times of Zebedee")) == "no echo times of [hidden]")
    assert scan.summary().outcome == "failed"


def test_the_end_is_told_in_one_line(caplog):
    caplog.set_level(logging.INFO)
    with scans.scanning(connected()) as scan:
        scans.timed("field", 2.0)
        scans.see({}, 0)
        scans.made("chi")
    (record,) = caplog.records
    assert record.summary.scan == scan.id
    line = record.getMessage()
    assert line.startswith("scan done; 0 readouts, 0 images, 0.0 MB in; 1 repetitions, maps chi 1;")
    assert "stages field 2.00 s" in line
    assert "\n" not in line


def test_a_scan_has_an_id_that_its_thread_and_copies_of_its_context_know():
    def ask(found):
        found.append(scans.current())

    with scans.scanning(connected()) as one, scans.scanning(connected()) as two:
        assert scans.current_id() == two.id != one.id
        found = []
        threads = [
            threading.Thread(target=ask, args=(found,)),
            threading.Thread(target=copy_context().run, args=(ask, found)),
        ]
        for thread in threads:
            thread.start()
            thread.join(5)
        assert found == [None, two]
    assert scans.current_id() is None


def test_a_thread_of_nobody_works_for_the_only_scan_there_is():
    found = []
    with scans.scanning(connected()) as scan:
        thread = threading.Thread(target=lambda: found.append(scans.current_id()))
        thread.start()
        thread.join(5)
    assert found == [scan.id]


def test_what_is_done_aside_is_not_noted():
    with scans.scanning(connected()) as scan:
        with scans.aside():
            scans.timed("field", 2.0)
            scans.made("chi")
        assert scans.current() is scan
    assert (scan.summary().stages_s, scan.summary().maps) == ({}, {})


def test_without_a_scan_nothing_is_noted_and_nothing_hidden():
    scans.see({"warnings": ["a"]}, 0)
    scans.timed("field", 2.0)
    scans.used_device(1)
    scans.made("chi")
    scans.took("store.outbox", 1)
    assert scans.hide("Zebedee") == "Zebedee"


def test_the_peak_of_memory_is_that_of_the_scan():
    held = np.ones(64 << 20, np.uint8)
    assert held.any()
    before = peak_memory_bytes()
    del held
    forget_peak()
    assert peak_memory_bytes() < before - (32 << 20)


def test_the_peak_of_memory_is_not_that_of_the_parent():
    program = "from gadgetron_qsm.peak_memory import peak_memory_bytes; print(peak_memory_bytes())"
    held = np.ones(256 << 20, np.uint8)
    assert held.any()
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(told.stdout) < 128 << 20
