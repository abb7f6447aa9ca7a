"""What watches a server from its start to its end: self-test, log and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site import logs, scans
from gadgetron_qsm.site.selftest import at_start

if TYPE_CHECKING:
    from gadgetron_qsm.site.metrics import Metrics


@contextmanager
def watching(settings: Settings, *, device: bool = True) -> Iterator[Metrics | None]:
    """Log as the settings say, test the machine, and answer Prometheus for as long as it lasts.

    `device` is whether this process computes; see selftest.at_start. Gives the metrics, if settings
    ask for any: scans of this process are noted there, and those that scans.tell is told of. Raises
    QsmError for what makes every scan fail.
    """
    logs.adopt(settings.health)
    at_start(settings, device=device)
    if settings.health.metrics_port is None:
        yield None
        return
    from gadgetron_qsm.site.metrics import Metrics  # which others do without

    metrics = Metrics(settings)
    with metrics.served(settings.health.metrics_port), scans.listening(metrics.note):
        yield metrics
