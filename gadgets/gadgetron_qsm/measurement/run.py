"""The measurement of a scan: what its settings ask for, in the maps that were delivered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity import scan_name
from gadgetron_qsm.dicom.regions import Region, coded_region
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.atlas import Atlas, read_atlas, read_label_map
from gadgetron_qsm.measure.folder import write_visit
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.registration import place
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measurement.about import about
from gadgetron_qsm.measurement.maps import Maps
from gadgetron_qsm.measurement.measured import Measured
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings


class Measurement:
    """What is measured in one scan, repetition by repetition.

    What the site supplies is read at once, so that a fault in it is told before the scan's end.
    """

    def __init__(self, header: Header, settings: Settings, folder: Path | None = None) -> None:
        """`folder` is where it is left, else in measure.folder, where each scan has its own.

        Raises QsmError for an atlas, or a table of controls, that cannot be used.
        """
        self._header, self._settings, self._asked = header, settings, settings.measure
        self._folder = folder
        self._atlas: Atlas | None = read_atlas(self._asked.atlas) if self._asked.atlas else None
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
        Raises QsmError when the maps have not come, or the folder cannot be written.
        """
        maps = self._came.pop(repetition)
        return _One(maps, self._header, self._settings, self._atlas).measured(
            self._place(maps.chi, repetition)
        )

    def _place(self, chi: Map, repetition: int) -> Path | None:
        """Return the folder of a repetition."""
        folder = self._folder
        if folder is None and self._asked.folder:
            folder = self._asked.folder / scan_name(chi, self._header)
        return folder / f"repetition_{repetition + 1}" if folder and repetition else folder
