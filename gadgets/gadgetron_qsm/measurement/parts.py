"""The parts of a measurement, one after another; none costs the others when it fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.identity import frame_of_reference, stable_uid
from gadgetron_qsm.dicom.kinds import ON_ANATOMY
from gadgetron_qsm.dicom.regions import Region, coded_region
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.anatomical import on_anatomy, read_anatomy
from gadgetron_qsm.measure.asymmetry import asymmetries
from gadgetron_qsm.measure.atlas import read_label_map
from gadgetron_qsm.measure.contrast import contrasts
from gadgetron_qsm.measure.controls import ZScore, z_scores
from gadgetron_qsm.measure.folder import write_visit
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.lesions import lesions
from gadgetron_qsm.measure.names import parsed
from gadgetron_qsm.measure.partial_volume import corrected
from gadgetron_qsm.measure.regions import Row, rows
from gadgetron_qsm.measure.registration import laid, place
from gadgetron_qsm.measure.tables import content_of, write_table
from gadgetron_qsm.measurement.about import about, age_years
from gadgetron_qsm.measurement.findings import found_sources, outlined, told
from gadgetron_qsm.measurement.maps import Maps
from gadgetron_qsm.measurement.measured import Measured
from gadgetron_qsm.measurement.site import Site
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.nifti import write_volume
from gadgetron_qsm.reference import WHOLE_BRAIN
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.privacy import line_of

log = logging.getLogger(__name__)

TABLE = "regions.csv"


class Parts:
    """What is measured in one repetition."""

    def __init__(self, maps: Maps, header: Header, settings: Settings, site: Site) -> None:
        self._maps, self._header, self._site = maps, header, site
        self._settings, self._asked = settings, settings.measure
        self._scan = maps.scan()
        deliver = settings.deliver
        self._outlines = deliver.segmentation or deliver.measurements  # a volume a region
        self._content: dict[str, Any] = {}
        self._corrected: dict[Structure, float] = {}
        self._regions: list[Region] = []  # as DICOM outlines them
        self._failures = list(site.faults)
        self._warnings: list[str] = []
        self._timing_s: dict[str, float] = {}

    def measured(self, folder: Path | None) -> Measured:
        """Measure all that is asked for; leave it in a folder, if one is given."""
        labels: LabelMap | None = None
        found: list[Row] = []
        scores: list[ZScore] = []
        with self._part("regions"):
            labels = self._labels()
        with self._part("statistics"):
            found, scores = self._statistics(labels)
        if labels:
            if self._outlines:
                self._regions += [
                    coded_region(s.name, labels.mask(s), s.side) for s in labels.structures
                ]
            with self._part("contrast"):
                self._contrast(labels)
        if self._asked.lesions:
            with self._part("lesions"):
                self._lesions(self._asked.lesions)
        if self._asked.sources:
            with self._part("sources"):
                self._sources(labels)
        placed: tuple[Map, str] | None = None
        if self._asked.anatomical:
            with self._part("anatomical"):
                placed = self._on_anatomy(self._asked.anatomical)
        if folder:
            with self._part("folder"):
                self._leave(folder, labels, found, scores)
                if placed:
                    volume, _ = placed
                    write_volume(folder / f"{volume.name}.nii.gz", volume.data, volume.geometry)
                else:  # of an earlier measurement
                    (folder / f"{ON_ANATOMY}.nii.gz").unlink(missing_ok=True)
        return Measured(
            repetition=self._maps.chi.repetition,
            labels=labels,
            content={**self._content, "failures": self._failed, "timing_s": self._timing_s},
            regions=self._regions,
            on_anatomy=placed,
            failures=self._failures,
        )

    def _labels(self) -> LabelMap | None:
        """Return where the regions are; None when none are asked for."""
        if self._asked.labels:
            return read_label_map(self._asked.labels, self._scan.geometry)
        if not self._site.atlas:
            return None
        atlas = self._site.atlas
        placed = place(atlas, self._scan)
        self._content["registration"] = dict(placed.quality)
        with self._part("partial volume"):
            self._corrected = corrected(
                self._scan, placed.labels, lambda grid: laid(atlas, grid, placed.transform)
            )
        return placed.labels

    def _statistics(self, labels: LabelMap | None) -> tuple[list[Row], list[ZScore]]:
        reference = self._maps.chi.report.get("quality", {}).get("reference", {})
        every = labels or LabelMap(np.zeros(self._scan.mask.shape, np.uint8), ())
        zero = reference.get("region", WHOLE_BRAIN)
        found = rows(self._scan, every, reference=zero, corrected=self._corrected)
        scores: list[ZScore] = []
        if self._site.controls:
            try:
                scores = self._scores(found)
            except QsmError as error:  # the other numbers need no age
                self._fail(error)
        sides = asymmetries(found, self._asked.lesion_side)
        self._content |= content_of(found, sides, scores)
        if labels and all(row.region == WHOLE_BRAIN for row in found):
            text = "no region lies where the map holds: is the label map that of this scan?"
            self._fail(QsmError(text))
        return found, scores

    def _scores(self, found: Sequence[Row]) -> list[ZScore]:
        age = age_years(self._header)
        if age is None:  # as of many scans, which is no fault of theirs
            self._warn("no z-scores: the header tells no birth date or no study date")
            return []
        scores = z_scores(found, self._site.controls, age)
        if not scores:
            self._warn(f"no z-scores: no control is of these regions at {age:.0f} years")
        return scores

    def _contrast(self, labels: LabelMap) -> None:
        name, _ = parsed(self._asked.planned)
        names = sorted({structure.name for structure in labels.structures})
        if name in names:
            self._content["contrast"] = [
                {**asdict(c), "structure": c.structure.label}
                for c in contrasts(self._scan, labels, name)
            ]
        elif "planned" in self._asked.model_fields_set:
            raise QsmError(
                f"measure.planned is '{self._asked.planned}', which is no region of this scan; "
                f"there are {', '.join(names)}"
            )

    def _lesions(self, path: Path) -> None:
        outlined = read_label_map(path, self._scan.geometry)
        self._content["lesions"] = [asdict(lesion) for lesion in lesions(self._scan, outlined)]

    def _sources(self, labels: LabelMap | None) -> None:
        times, larmor_hz = self._maps.echo_times_s, self._header.larmor_hz
        sources = found_sources(self._scan, labels, self._asked, times, larmor_hz)
        self._content["sources"] = told(sources, two_pass=self._settings.mask.two_pass)
        if self._outlines:
            self._regions += outlined(sources, self._scan)

    def _on_anatomy(self, path: Path) -> tuple[Map, str]:
        """Return chi on the grid of an anatomical series, and the frame of reference it is in."""
        anatomy, own = read_anatomy(path), frame_of_reference(self._header)
        found = on_anatomy(self._scan, anatomy, frame_of_reference=own)
        self._content["anatomical"] = {"told": found.told}
        chi = self._maps.chi
        methods = {**chi.report.get("provenance", {}), "anatomical": {"method": found.told}}
        volume = replace(
            chi,
            name=ON_ANATOMY,
            data=found.chi,
            geometry=found.geometry,
            report={**chi.report, "provenance": methods},
        )
        if found.rigid is None:
            return volume, own
        return volume, anatomy.frame_of_reference or stable_uid("frame of an anatomy", own)

    def _leave(
        self,
        folder: Path,
        labels: LabelMap | None,
        found: Sequence[Row],
        scores: Sequence[ZScore],
    ) -> None:
        write_table(folder / TABLE, found, scores)
        write_visit(folder, self._scan, labels, self._told())

    def _told(self) -> dict[str, Any]:
        """Return what measurement.json holds."""
        chi = self._maps.chi
        first = about(chi, self._header, self._settings.identity)
        warnings = [*self._maps.warnings, *self._warnings, *self._failed]
        return {**first, **self._content, "warnings": warnings, "timing_s": self._timing_s}

    @property
    def _failed(self) -> list[str]:
        """Why parts failed, by the settings that name files, of which paths may name a patient."""
        return [self._asked.without_paths(line_of(failure)) for failure in self._failures]

    def _warn(self, text: str) -> None:
        log.warning("%s", text)
        self._warnings.append(text)

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """Time a part; note why it failed, and go on."""
        start = time.perf_counter()
        try:
            yield
        except QsmError as error:
            self._fail(error)
        except Exception as error:  # a fault of ours must not cost the other parts
            log.exception("the measurement of %s failed", name)
            self._fail(QsmError(f"the measurement of {name} failed: {line_of(error)}"))
        self._timing_s[name] = round(time.perf_counter() - start, 3)

    def _fail(self, failure: QsmError) -> None:
        log.error("%s", failure)
        self._failures.append(failure)
