"""Numbers of a susceptibility map in regions as a DICOM report.

Comprehensive 3D SR (PS3.3 A.35.13) with template TID 1500 and, for each region, TID 1411
(PS3.16). Consensus on what to report: doi:10.1002/mrm.30006.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydicom import Dataset

from gadgetron_qsm import __version__
from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom import companions, identity
from gadgetron_qsm.dicom.kinds import UCUM, Code, kind_of
from gadgetron_qsm.dicom.provenance import SOFTWARE, comments, derivation
from gadgetron_qsm.dicom.regions import (
    ABNORMAL,
    LATERALITIES,
    SCT,
    TISSUE,
    Region,
    whole_brain,
)
from gadgetron_qsm.dicom.segmentation import tracking_uid
from gadgetron_qsm.measure.statistics import Statistics, statistics
from gadgetron_qsm.mrd.header import Header

if TYPE_CHECKING:
    from highdicom.sr import (
        FindingSite,
        Measurement,
        MeasurementReport,
        ObservationContext,
        ReferencedSegment,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )
    from pydicom.sr.coding import Code as CodedConcept

DIGITS = 3  # behind the point: beyond what any map means
PROCEDURE: Code = ("24590-2", "LN", "Brain MRI")
VOLUME: Code = ("118565006", SCT, "Volume")
CUBIC_MILLIMETRE: Code = ("mm3", UCUM, "cubic millimeter")
DERIVATIONS: dict[str, Code] = {  # CID 7464
    "mean": ("373098007", SCT, "Mean"),
    "sd": ("386136009", SCT, "Standard Deviation"),
    "median": ("373099004", SCT, "Median"),
    "minimum": ("255605001", SCT, "Minimum"),
    "maximum": ("56851009", SCT, "Maximum"),
}


def measurement_report(
    chi: Map,
    regions: Sequence[Region],
    segmentation: Dataset,
    sources: Sequence[Dataset],
    header: Header,
    others: Sequence[Map] = (),
) -> Dataset:
    """Report mean, SD, median, minimum and maximum of chi (ppb) and the volume of each region.

    regions, sources: those that `segmentation` was made of. `others` are maps on the grid of chi
    that are reported after it, as R2*. Of each region that part is measured
    that lies in the whole brain, beyond which chi is 0. What chi is relative to is stated in
    words; with the mean of the whole brain a reader can refer it to that whatever it was.
    Raises ValueError when no region is the whole brain.
    """
    from highdicom.sr import Comprehensive3DSR

    series = identity.stable_uid("measurements", str(segmentation.SeriesInstanceUID))
    dataset: Dataset = Comprehensive3DSR(
        evidence=[*companions.nameless(sources), segmentation],
        content=_content([chi, *others], regions, segmentation, sources)[0],
        series_number=identity.series_number(chi, header, identity.REPORT),
        **companions.made_here(series),
        is_complete=True,
    )
    companions.complete(
        dataset, sources[0], f"{identity.series_description(chi, header)} measurements"
    )
    return dataset


def _content(
    maps: Sequence[Map],
    regions: Sequence[Region],
    segmentation: Dataset,
    sources: Sequence[Dataset],
) -> MeasurementReport:
    from highdicom.sr import MeasurementReport, RelationshipTypeValues, TextContentItem
    from pydicom.sr.codedict import codes

    brain = whole_brain(regions)
    report = MeasurementReport(
        observation_context=_observer(),
        procedure_reported=_coded(PROCEDURE),
        imaging_measurements=[
            _group(maps, region, brain, segmentation, number, sources)
            for number, region in enumerate(regions, start=1)
        ],
    )
    report[0].ContentSequence.append(
        TextContentItem(
            name=codes.DCM.Comment,
            value=comments(maps[0]),
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
    )
    return report


def _observer() -> ObservationContext:
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes

    software = DeviceObserverIdentifyingAttributes(
        uid=identity.stable_uid("device", SOFTWARE, __version__),
        name=SOFTWARE,
        manufacturer_name=SOFTWARE,
        model_name=f"{SOFTWARE} {__version__}",
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=software
        )
    )


def _group(
    maps: Sequence[Map],
    region: Region,
    brain: Region,
    segmentation: Dataset,
    number: int,
    sources: Sequence[Dataset],
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        AlgorithmIdentification,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    methods = derivation(maps[0].report.get("provenance", {}))
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=tracking_uid(region, str(segmentation.SeriesInstanceUID)),
            identifier=region.label,
        ),
        referenced_segment=_segment(segmentation, number, sources),
        finding_type=_coded(region.type if region.category == ABNORMAL else region.category),
        finding_sites=_sites(region),
        algorithm_id=AlgorithmIdentification(SOFTWARE, __version__, parameters=[methods]),
        measurements=_measurements(maps, region, brain),
    )


def _segment(segmentation: Dataset, number: int, sources: Sequence[Dataset]) -> ReferencedSegment:
    """Refer to a segment.

    Made from its parts, because ReferencedSegment.from_segmentation of highdicom 0.28 fails for
    an object of a single segment, and names every image once for each region.
    """
    from highdicom.sr import ReferencedSegment, SourceSeriesForSegmentation

    return ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=number,
        source_series=SourceSeriesForSegmentation(str(sources[0].SeriesInstanceUID)),
    )


def _sites(region: Region) -> list[FindingSite] | None:
    from highdicom.sr import FindingSite

    if region.type == TISSUE or region.category == ABNORMAL:
        return None
    side = _coded(LATERALITIES[region.laterality]) if region.laterality else None
    return [FindingSite(anatomic_location=_coded(region.type), laterality=side)]


def _measurements(maps: Sequence[Map], region: Region, brain: Region) -> list[Measurement]:
    """Return the numbers of each map in the part of a region that lies in the brain, its volume."""
    from highdicom.sr import Measurement

    size = maps[0].geometry.voxel_size
    found = [statistics(to_numpy(m.data), region.mask, size, valid=brain.mask) for m in maps]
    numbers = [
        number
        for volume, of_it in zip(maps, found, strict=True)
        for number in _numbers(volume, of_it)
    ]
    cubic = _coded(CUBIC_MILLIMETRE)
    volume_mm3 = round(found[0].volume_mm3, DIGITS)
    return [*numbers, Measurement(name=_coded(VOLUME), value=volume_mm3, unit=cubic)]


def _numbers(volume: Map, found: Statistics) -> list[Measurement]:
    from highdicom.sr import Measurement

    kind = kind_of(volume)
    if kind.quantity is None:
        raise ValueError(f"map '{volume.name}' has no quantity to report")
    return [
        Measurement(
            name=_coded(kind.quantity),
            value=round(getattr(found, name), DIGITS),
            unit=_coded(kind.unit_code),
            derivation=_coded(derived),
        )
        for name, derived in DERIVATIONS.items()
    ]


def _coded(code: Code) -> CodedConcept:
    from pydicom.sr.coding import Code as CodedConcept  # it brings all of PS3.16, which takes time

    return CodedConcept(*code)
