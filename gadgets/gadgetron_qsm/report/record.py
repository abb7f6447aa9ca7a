"""What a report needs of a scan's maps, noted as they pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gadgetron_qsm.data import Map
from gadgetron_qsm.measurement.measured import Measured
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.report import series_entry

REPORTED = ("chi", "magnitude", "total_field", "local_field", "mask")


class Record:
    """The maps of one scan, one a kind, what was done to them, and the series they became.

    Of several repetitions the maps of the first are held and the reports of all, so that a long
    scan needs no more memory than a short one.
    """

    def __init__(self, header: Header, maps: Iterable[Map] = ()) -> None:
        self.header = header
        self.maps: dict[str, Map] = {}
        self._reports: dict[int, Mapping[str, Any]] = {}
        self._series: dict[tuple[str, int], dict[str, Any]] = {}
        self.measurements: list[Measured] = []
        for volume in maps:
            self.see(volume)

    def see(self, volume: Map) -> None:
        """Note a map, delivered or not. The last of a repetition has the most complete report."""
        self._reports[volume.repetition] = volume.report
        if volume.name in REPORTED and volume.repetition == min(self._reports):
            self.maps.setdefault(volume.name, volume)  # the first echo of several

    def delivered(self, volume: Map, files: Sequence[Path] = (), root: Path | None = None) -> None:
        """Note that a map was delivered; echoes of a map are one series.

        `files` are those of its objects, and the folder `root` that the report names theirs
        from; without files it counts the images that the console was sent.
        """
        entry = series_entry(volume, self.header, files, root)
        before = self._series.setdefault((volume.name, volume.repetition), entry)
        if before is not entry:
            before["images"] += entry["images"]

    def measured(self, found: Measured) -> None:
        """Note what was measured in a repetition; regions are pictured of the first one."""
        labels = None if self.measurements else found.labels
        self.measurements.append(replace(found, labels=labels, regions=(), on_anatomy=None))

    @property
    def series(self) -> list[dict[str, Any]]:
        """Entries of `series_entry`, in the order in which their first map was delivered."""
        return list(self._series.values())

    def reports(
        self, failure: Exception | str | None = None
    ) -> tuple[dict[str, Any], dict[int, Mapping[str, Any]]]:
        """Return the first repetition's report with the warnings of all, and those of later ones.

        The later ones go by their number, from 1. `failure` is why no more maps came.
        """
        first, *later = sorted(self._reports) or [0]
        warnings = [
            text
            for number in sorted(self._reports)
            for text in self._reports[number].get("warnings", [])
        ]
        if failure:
            warnings.append(f"the chain failed before all maps were made: {failure}")
        report = {**self._reports.get(first, {}), "warnings": list(dict.fromkeys(warnings))}
        return report, {number + 1: self._reports[number] for number in later}
