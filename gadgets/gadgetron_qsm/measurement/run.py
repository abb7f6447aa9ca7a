"""The measurement of a scan: what its settings ask for, in the maps that were delivered."""

from __future__ import annotations

import logging
from pathlib import Path

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity import scan_name
from gadgetron_qsm.measurement.maps import Maps
from gadgetron_qsm.measurement.measured import Measured
from gadgetron_qsm.measurement.parts import Parts
from gadgetron_qsm.measurement.site import Site
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings

log = logging.getLogger(__name__)


class Measurement:
    """What is measured in one scan, repetition by repetition.

    What the site supplies is read at once, so that a fault in it is logged before the scan's end;
    the rest is measured.
    """

    def __init__(self, header: Header, settings: Settings, folder: Path | None = None) -> None:
        """`folder` is where it is left, else in measure.folder, where each scan has its own."""
        self._header, self._settings, self._folder = header, settings, folder
        self._site = Site.read(settings.measure)
        for fault in self._site.faults:
            log.error("%s", fault)
        self._came: dict[int, Maps] = {}

    @property
    def waiting(self) -> set[int]:
        """Repetitions of which a map came, and that were not measured."""
        return set(self._came)

    def see(self, volume: Map) -> None:
        """Note a map; it is measured when its repetition is asked for."""
        self._came.setdefault(volume.repetition, Maps()).see(volume)

    def of(self, repetition: int) -> Measured:
        """Measure a repetition, once, and leave its folder where one is asked for.

        A part that cannot be measured does not cost the others: it is among the failures.
        Raises QsmError when the maps that all parts need have not come.
        """
        maps = self._came.pop(repetition)
        parts = Parts(maps, self._header, self._settings, self._site)
        return parts.measured(self._place(maps.chi))

    def _place(self, chi: Map) -> Path | None:
        """Return the folder of a repetition."""
        folder, asked = self._folder, self._settings.measure.folder
        if folder is None and asked:
            folder = asked / scan_name(chi, self._header)
        if folder and chi.repetition:
            return folder / f"repetition_{chi.repetition + 1}"
        return folder
