"""Where a scan's maps go besides the console: a folder, archives, a report."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.delivery.deliver import opened
from gadgetron_qsm.dicom.files import save
from gadgetron_qsm.dicom.identity import scan_name
from gadgetron_qsm.dicom.identity_rules import completions
from gadgetron_qsm.dicom.kinds import IN_HERTZ, in_hertz
from gadgetron_qsm.dicom.of_scan import ScanObjects
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.record import Record
from gadgetron_qsm.settings import Settings

log = logging.getLogger(__name__)

LONGEST_S = 3600.0


def wanted(settings: Settings) -> tuple[str, ...]:
    """Name the maps to be made: those to deliver, and those that regions and report need."""
    deliver = settings.deliver
    names: list[str] = list(deliver.maps)
    if deliver.segmentation or deliver.measurements:
        names += ("csf", "mask") if settings.reference.region == "csf" else ("mask",)
    if deliver.report_folder:
        names += ("chi", "magnitude", "mask")
    return tuple(dict.fromkeys(names))


def keeps(settings: Settings) -> bool:
    """Whether maps go elsewhere than to the console."""
    deliver = settings.deliver
    return bool(deliver.dicom_folder or deliver.report_folder or settings.store.nodes)


class Outgoing:
    """What leaves of one scan.

    A place that cannot be written does not keep the maps from the others and from the console:
    `finish` tells of it when all is done.
    """

    def __init__(self, header: Header, settings: Settings) -> None:
        self.record = Record(header)
        self._header, self._settings = header, settings
        self._objects = ScanObjects(header, settings)
        self._delivery = opened(settings.store)
        self._failures: list[QsmError] = []
        told = completions(Header.parse(header.text), header)
        self._identity = {"identity": {"method": "as the header says", **told}} if told else {}

    def seen(self, volume: Map) -> Map:
        """Note a map, delivered or not; return it in the unit, and with the words, it leaves in."""
        self.record.see(volume)
        if self._settings.deliver.field_unit == "Hz" and volume.name in IN_HERTZ:
            volume = in_hertz(volume, self._header.larmor_hz)
        provenance = {**volume.report.get("provenance", {}), **self._identity}
        report = {**volume.report, "provenance": provenance}
        return replace(volume, data=to_numpy(volume.data), report=report)

    def objects(self, volume: Map, folder: Path | None = None) -> list[Dataset]:
        """Make the DICOM objects that a map gives rise to, and keep them where settings say.

        `folder` is where their series go, else in deliver.dicom_folder, where each scan has its
        own. Without a place that wants them none is made, unless the console does.
        """
        deliver = self._settings.deliver
        if folder is None and deliver.dicom_folder:
            folder = deliver.dicom_folder / scan_name(volume, self._header)
        if not (folder or self._delivery or deliver.console != "images"):
            return []
        made = list(self._objects.of(volume))
        if folder:
            self._write(made, volume, folder)
        if self._delivery and made:
            try:
                self._delivery.put(made)
            except QsmError as error:
                self._failed(error)
        return made

    def finish(self, failure: QsmError | None = None) -> None:
        """Leave the report; raise the first QsmError of what could not be kept, if any."""
        if (folder := self._settings.deliver.report_folder) and self.record.maps:
            from gadgetron_qsm.report.run import write_run  # matplotlib takes a while

            name = scan_name(next(iter(self.record.maps.values())), self._header)
            try:
                write_run(folder / name, self.record, settings=self._settings, failure=failure)
            except QsmError as error:
                self._failed(error)
        if self._failures and failure is None:
            raise self._failures[0]

    def flush(self, timeout_s: float = math.inf) -> str | None:
        """Send what waits, once, for a process that ends; say in one line what still waits."""
        left = self._delivery.flush(min(timeout_s, LONGEST_S)) if self._delivery else []
        told = [f"{line.objects} objects wait for '{line.node}': {line.error}" for line in left]
        return "; ".join(told) or None

    def _write(self, made: Iterable[Dataset], volume: Map, folder: Path) -> None:
        try:
            files = [save(dataset, folder) for dataset in made]
        except QsmError as error:
            self._failed(error)
        else:
            if volume.name in self._settings.deliver.maps:
                self.record.delivered(volume, files, folder.parent)

    def _failed(self, error: QsmError) -> None:
        log.error("%s", error)
        self._failures.append(error)
