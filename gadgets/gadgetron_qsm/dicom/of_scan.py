"""All DICOM objects of a scan, as its maps come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

from pydicom import Dataset

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.deidentify import deidentified
from gadgetron_qsm.dicom.forms import objects
from gadgetron_qsm.dicom.region_objects import region_objects
from gadgetron_qsm.dicom.regions import Region, regions_of
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measurement.sections import MeasureSettings
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings

OF_REGIONS = {"atlas", "labels", "sources", "source_ppb", "smallest_mm", "largest_mm"}
PIXELS = ("PixelData", "FloatPixelData")


@dataclass
class _Regions:
    """What came of one repetition for its regions."""

    chi: Map | None = None
    images: list[Dataset] = field(default_factory=list)  # of chi, without pixels
    csf: Map | None = None
    r2star: Map | None = None
    mask: Map | None = None


class ScanObjects:
    """The objects of a scan by its settings: images of maps, then what outlines and measures."""

    def __init__(self, header: Header, settings: Settings) -> None:
        self._header, self._deliver, self._identity = header, settings.deliver, settings.identity
        self._measure = settings.measure
        self._regions: dict[int, _Regions] = {}

    def images(self, volume: Map) -> Iterator[Dataset]:
        """Give the images of a map, none of one that is not to be delivered."""
        if volume.name in self._deliver.maps:
            for dataset in objects(volume, self._header, self._deliver.form):
                self._keep(volume, dataset)
                yield self._cleaned(dataset)

    def of_regions(self, volume: Map) -> Iterator[Dataset]:
        """Give what outlines and measures the regions, where asked for, when the mask has come.

        chi, CSF and R2* where they are asked for, and the mask are to come in this order, and the
        images of chi to be made before. Nothing where measure.* asks for more: `outlined` gives it
        then.
        Raises QsmError when no region has a voxel.
        """
        if not self._asked:
            return
        if volume.name == "chi":
            self._regions.setdefault(volume.repetition, _Regions()).chi = volume
            return
        found = self._regions.get(volume.repetition)
        if found is None or found.chi is None:
            return
        if volume.name == "csf":
            found.csf = volume
        elif volume.name == "r2star":
            found.r2star = volume
        elif volume.name == "mask":
            found.mask = volume
            if not self._measure.asked:  # there may be more regions than those of the maps
                yield from self.outlined(volume.repetition)

    def outlined(self, repetition: int, more: Sequence[Region] = ()) -> Iterator[Dataset]:
        """Give what outlines and measures a repetition's regions, and `more` of them, once.

        Of those, one that is called as the whole brain or the CSF of the map is '(labelled)'.
        Nothing where it is not asked for, or chi and the mask have not come.
        Raises QsmError when no region has a voxel.
        """
        found = self._regions.get(repetition)
        if found is None or found.chi is None or found.mask is None:
            return
        del self._regions[repetition]
        own = regions_of(found.mask.data, None if found.csf is None else found.csf.data)
        taken = {region.label for region in own}
        others = [replace(r, name=f"{r.name} (labelled)") if r.label in taken else r for r in more]
        for dataset in region_objects(
            found.chi,
            [*own, *others],
            found.images,
            self._header,
            segmentation=self._deliver.segmentation,
            measurements=self._deliver.measurements,
            others=[found.r2star] if found.r2star else [],
            asked=_asked_of(self._measure),
        ):
            yield self._cleaned(dataset)

    def on_anatomy(self, volume: Map, frame_of_reference: str) -> Iterator[Dataset]:
        """Give the images of a map on the grid of an anatomical series, in that one's frame."""
        for dataset in objects(volume, self._header, self._deliver.form):
            dataset.FrameOfReferenceUID = frame_of_reference
            yield self._cleaned(dataset)

    @property
    def waiting(self) -> set[int]:
        """Repetitions whose regions have not been outlined."""
        return set(self._regions)

    def require_regions(self) -> None:
        """Raise QsmError when a repetition's mask has not come, and so nothing of its regions."""
        if self._regions:
            raise QsmError(
                "no Segmentation, no report of regions: the maps chi and mask are to come for them"
            )

    @property
    def _asked(self) -> bool:
        return self._deliver.segmentation or self._deliver.measurements

    def _keep(self, volume: Map, dataset: Dataset) -> None:
        """Keep an image of chi for the regions that will refer to it."""
        if volume.name == "chi" and self._asked:
            image = Dataset({e.tag: e for e in dataset if e.keyword not in PIXELS})
            self._regions.setdefault(volume.repetition, _Regions()).images.append(image)

    def _cleaned(self, dataset: Dataset) -> Dataset:
        if not self._identity.deidentify:
            return dataset
        return deidentified(dataset, self._identity, self._header)


def _asked_of(measure: MeasureSettings) -> str:
    """Say where regions come from that are none of the maps', "" without such."""
    if not measure.asked:
        return ""
    chosen = measure.model_dump_json(include=OF_REGIONS)
    with suppress(OSError):
        if measure.labels:  # which people correct
            chosen += sha256(measure.labels.read_bytes()).hexdigest()
    return chosen
