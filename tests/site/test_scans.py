"""What became of a scan, told by those who worked on it."""

from __future__ import annotations

import logging
import pickle
import sys
import threading
from contextvars import copy_context

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
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


def test_reports_of_results_add_up_over_repetitions_and_not_over_results():
    with scans.scanning(connected()) as scan:
        scans.see({"timing_s": {"ingest": 1.0}, "warnings": ["a"]}, 0)
        scans.see({"timing_s": {"ingest": 1.0, "field": 2.0}, "warnings": ["a", "b"]}, 0)
        scans.see({"timing_s": {"ingest": 0.5}, "quality": {"peak_device_bytes": 7}}, 1)
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
        scans.see({"timing_s": {"field": 2.0}}, 0)
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
            scans.see({"timing_s": {"field": 2.0}}, 0)
            scans.made("chi")
        assert scans.current() is scan
    assert (scan.summary().stages_s, scan.summary().maps) == ({}, {})


def test_without_a_scan_nothing_is_noted_and_nothing_hidden():
    scans.see({"timing_s": {"field": 2.0}}, 0)
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
