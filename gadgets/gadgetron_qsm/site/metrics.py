"""Numbers for Prometheus: what scans came to, and what the site's machine has left.

Of patients nothing: labels are names of our own, of settings and of the site's nodes.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from gadgetron_qsm import __version__
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.site_metrics import PREFIX, SiteMetrics
from gadgetron_qsm.site.summary import Outcome, ScanSummary

LOOPBACK = "127.0.0.1"
LATENCY_S = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300)  # upper ends
STAGE_S = (0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """What the process that accepts clients tells; each scan that ends is to be noted here."""

    def __init__(self, settings: Settings) -> None:
        disable_created_metrics()  # a series more for each, of no use here
        self.registry = registry = CollectorRegistry()
        counter = partial(Counter, namespace=PREFIX, registry=registry)
        gauge = partial(Gauge, namespace=PREFIX, registry=registry)
        histogram = partial(Histogram, namespace=PREFIX, registry=registry)
        self._scans = counter("scans", "Scans that have ended", ["outcome"])
        for outcome in get_args(Outcome):  # 0 is told as well
            self._scans.labels(outcome)
        self._latency = histogram(
            "latency_seconds", "Last data in to last image out", buckets=LATENCY_S
        )
        self._stages = histogram(
            "stage_seconds", "Time of a stage in a scan", ["stage"], buckets=STAGE_S
        )
        self._readouts = counter("readouts", "Readouts received")
        self._images = counter("images", "Images received")
        self._bytes = counter("received_bytes", "Data received, without headers")
        self._maps = counter("maps", "Maps delivered", ["map"])
        self._objects = counter("objects", "DICOM objects that a place took", ["place"])
        self._warnings = counter("warnings", "Warnings to readers of maps")
        self._memory = gauge("memory_peak_bytes", "Most memory of a scan's process")
        self._device = gauge("device_memory_peak_bytes", "Most device memory of a scan")
        self._success = gauge("last_success_timestamp_seconds", "End of the last scan")
        self.running = gauge("scans_running", "Scans that run now")
        self.workers = gauge("workers", "Processes that scans run in, or may")
        Info("build", "Versions", namespace=PREFIX, registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self._peaks = {"memory": 0, "device": 0}
        ProcessCollector(registry=registry)
        registry.register(SiteMetrics(settings))

    def note(self, summary: ScanSummary) -> None:
        """Note a scan that has ended."""
        self._scans.labels(summary.outcome).inc()
        self._readouts.inc(summary.readouts)
        self._images.inc(summary.images)
        self._bytes.inc(summary.data_bytes)
        self._warnings.inc(summary.warnings)
        for name, count in summary.maps.items():
            self._maps.labels(name).inc(count)
        for place, count in summary.objects.items():
            self._objects.labels(place).inc(count)
        for stage, seconds in summary.stages_s.items():
            self._stages.labels(stage).observe(seconds)
        self._peaks["memory"] = max(self._peaks["memory"], summary.peak_memory_bytes)
        self._peaks["device"] = max(self._peaks["device"], summary.peak_device_bytes)
        self._memory.set(self._peaks["memory"])
        self._device.set(self._peaks["device"])
        if summary.outcome == "done":
            self._success.set(summary.ended_at)
            if summary.latency_s is not None:
                self._latency.observe(summary.latency_s)

    @contextmanager
    def served(self, port: int) -> Iterator[int]:
        """Answer Prometheus on this port of loopback, from threads, as long as it lasts.

        Gives the port, which the system chooses for 0. Raises QsmError when it is not free.
        """
        try:
            server, thread = start_http_server(port, LOOPBACK, self.registry)
        except OSError as error:
            raise QsmError(
                f"health.metrics_port: cannot listen on {LOOPBACK}:{port}: {error.strerror}; "
                "choose another"
            ) from error
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
