"""Some of the scans of `python -m tests.faults.soak`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.census import Census, eventually
from tests.faults.served import SOON_S
from tests.faults.soak import GROWTH, WARM_UP, Sample, growth, soak

AT_REST = Census(4, 0, 37, 16)


@pytest.mark.parametrize(("command", "scans"), [("serve", 40), ("gadget", 100)])
def test_scan_after_scan_leaves_no_memory_and_no_thread_behind(served_by, command, scans):
    served = served_by(command)
    samples = list(soak(served, scans))
    assert growth(samples) < GROWTH
    most = max(sample.held.threads for sample in samples[:WARM_UP])
    assert eventually(lambda: served.census().threads <= most, SOON_S)
    assert "Traceback" not in served.log_since()


@pytest.mark.parametrize(
    ("scans", "leak", "grown"), [(200, 0, 1), (200, 300, 1.06), (40, 300, 1.06)]
)
def test_a_leak_is_seen(scans, leak, grown):
    flat = [Sample(scan, 1_000_000 + leak * scan, AT_REST) for scan in range(scans)]
    noisy = [replace(sample, bytes=sample.bytes + sample.scan % 3) for sample in flat]
    assert growth(noisy) == pytest.approx(grown, abs=0.005)
