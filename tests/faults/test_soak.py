"""Some of the scans of `python -m tests.faults.soak`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.census import Census
from tests.faults.soak import GROWTH, WARM_UP, Sample, growth, soak

AT_REST = Census(4, 0, 37, 16)


def test_scan_after_scan_leaves_no_memory_and_no_thread_behind(served):
    samples = list(soak(served, 2 * WARM_UP))
    assert growth(samples) < GROWTH
    assert samples[-1].held.threads <= samples[WARM_UP].held.threads
    assert "Traceback" not in served.log_since()


@pytest.mark.parametrize(("leak", "grown"), [(0, 1), (1000, 1.17)])
def test_a_leak_is_seen(leak, grown):
    flat = [Sample(scan, 1_000_000 + leak * scan, AT_REST) for scan in range(200)]
    noisy = [replace(sample, bytes=sample.bytes + sample.scan % 3) for sample in flat]
    assert growth(noisy) == pytest.approx(grown, abs=0.02)
