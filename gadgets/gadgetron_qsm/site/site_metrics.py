"""Numbers of the site's machine, looked at whenever Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gadgetron_qsm.delivery import database
from gadgetron_qsm.delivery.deliver import folder_of
from gadgetron_qsm.delivery.letters import lines
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.outgoing_sections import StoreSettings
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.disk import folders, free_bytes, held_bytes

PREFIX = "gadgetron_qsm"


class SiteMetrics(Collector):
    """Disks, spool and outbox of the settings; what cannot be looked at is not told."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def describe(self) -> list[GaugeMetricFamily]:
        """Tell nothing beforehand: looking may take time."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look."""
        free = GaugeMetricFamily(
            f"{PREFIX}_disk_free_bytes", "Room on the disk of a folder", labels=["setting"]
        )
        for name, folder in folders(self._settings).items():
            with suppress(OSError):
                free.add_metric([name], free_bytes(folder))
        yield free
        if spool := self._settings.spool.folder:
            with suppress(OSError):
                size = held_bytes(spool)
                yield GaugeMetricFamily(f"{PREFIX}_spool_bytes", "Raw data kept", value=size)
        if self._settings.store.nodes:
            yield from _outbox(self._settings.store)


def _outbox(store: StoreSettings) -> Iterator[GaugeMetricFamily]:
    labels = ["node", "state"]
    objects = GaugeMetricFamily(
        f"{PREFIX}_outbox_objects", "waiting, sent (to be committed) or dead", labels=labels
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}_outbox_oldest_timestamp_seconds", "When the oldest was put", labels=labels
    )
    folder, usable = folder_of(store.outbox), 1
    try:
        (folder / database.NAME).stat()
        with Outbox(folder) as opened:
            for line in lines(opened):
                objects.add_metric([line.node, line.state], line.objects)
                oldest.add_metric([line.node, line.state], line.oldest_at)
    except FileNotFoundError:  # one is not made to be looked at
        pass
    except (QsmError, OSError):
        usable = 0
    yield GaugeMetricFamily(f"{PREFIX}_outbox_usable", "1, or 0 for one that fails", value=usable)
    yield objects
    yield oldest
