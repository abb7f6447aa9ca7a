"""How the map was made, in words that travel inside the image."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import MRImageStorage

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.codes import coded
from gadgetron_qsm.dicom.kinds import DCM, Code, kind_of
from gadgetron_qsm.dicom.pixels import Counts
from gadgetron_qsm.dicom.values import is_uid, text
from gadgetron_qsm.methods import parameters
from gadgetron_qsm.mrd.anonymous import anonymous_scan
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.plain import plain
from gadgetron_qsm.sections import MethodSettings
from gadgetron_qsm.settings import Settings

SOFTWARE = "gadgetron-qsm"
LONGEST_ST, LONGEST_LT = 1024, 10240
OUTSIDE = " outside the mask"
NOT_CLINICAL = "Research use; not for clinical use."

ACQUISITION: Code = ("109101", DCM, "Acquisition Equipment")
PROCESSING: Code = ("109102", DCM, "Processing Equipment")
SOURCE: Code = ("121322", DCM, "Source image for image processing operation")
# CID 7203 has codes for what a few maps are made by, and none for susceptibility mapping.
PRODUCT: Code = ("113053", DCM, "Pixel by pixel multiplication")
DERIVATIONS: Mapping[str, Code] = {
    "mask": ("113076", DCM, "Segmentation"),
    "swi": PRODUCT,
    "tswi": PRODUCT,
    "smwi": PRODUCT,
    "swi_mip": ("113079", DCM, "Minimum intensity projection"),
}

Parameters = Mapping[str, Any]


def add_provenance(dataset: Dataset, volume: Map, stored: Counts, header: Header) -> None:
    """Record source, scanner, methods, software, unit, reference region, losses and warnings."""
    provenance = volume.report.get("provenance", {})
    sources = _sources(provenance, header)
    dataset.ContentQualification = "RESEARCH"
    scan = "" if sources else scan_clause(header)
    dataset.DerivationDescription = derivation(provenance, scan)
    if volume.name in DERIVATIONS:
        dataset.DerivationCodeSequence = coded(DERIVATIONS[volume.name])
    if sources:
        dataset.SourceImageSequence = Sequence(sources)
    dataset.ImageComments = comments(volume, stored)
    dataset.ContributingEquipmentSequence = Sequence([_software(), *_scanner(header)])


def derivation(provenance: Mapping[str, Mapping[str, Any]], scan: str = "") -> str:
    """Software, scan, stages, methods and parameters in at most 1024 characters.

    Too long: without the parameters that have their default, and then without any. Of the scan no
    time is told, which would say when a de-identified patient was there.
    """
    told = {k: anonymous_scan(e) if k == "scan" else e for k, e in provenance.items()}
    for selected in (_all, _not_default, _none):
        stages = [f"{stage}: {_method(stage, e, selected)}" for stage, e in told.items()]
        line = "; ".join([f"{SOFTWARE} {__version__}", *filter(None, [scan]), *stages])
        if len(line) <= LONGEST_ST:
            break
    return text(line, LONGEST_ST)


def scan_clause(header: Header) -> str:
    """Name the scan that a map comes from, as far as its header does."""
    measurement = header.document.measurementInformation
    named = {
        "protocol": measurement and measurement.protocolName,
        "measurement": measurement and measurement.measurementID,
    }
    told = [f"{what} {_no_end(value)}" for what, value in named.items() if value]
    return f"source scan: {', '.join(told)}" if told else ""


def without_scan(line: str) -> str:
    """Return a derivation without the name of the scan, which the site chose."""
    return re.sub("; source scan: [^;]*", "", line)


def comments(volume: Map, stored: Counts | None = None) -> str:
    """What the numbers are, relative to what, and what is wrong with them, or lost by storing."""
    kind = kind_of(volume)
    unit = f" in {kind.unit}" if kind.unit else ""
    relative = f", relative to {_reference_region(volume)}" if kind.referenced else ""
    lines = [f"{kind.meaning}{unit}{relative}.".replace("..", "."), NOT_CLINICAL]
    if kind.referenced:
        lines += _reference(volume.report.get("quality", {}).get("reference"))
    if preset := volume.report.get("provenance", {}).get("preset"):
        lines.append(f"Preset {preset['method']}.")
    if stored and stored.clipped:
        where = OUTSIDE if stored.holds(volume.reach) else ""
        beyond = f"beyond the {stored.bits}-bit range"
        lines.append(f"{stored.clipped} voxels{where} {beyond} were clipped.")
    if stored and stored.not_finite:
        lines.append(f"{stored.not_finite} voxels without a finite value were set to 0.")
    lines += [f"Warning: {warning}." for warning in volume.report.get("warnings", ())]
    return text(" ".join(lines), LONGEST_LT)


def _reference_region(volume: Map) -> str:
    reference = volume.report.get("provenance", {}).get("reference", {})
    return str(reference.get("region", "a region that was not recorded"))


def _reference(found: Mapping[str, Any] | None) -> list[str]:
    """Say what the region reads relative to the whole brain, so that a map can be turned back."""
    if not found:
        return []
    line = (
        f"Reference region: {found['region']}, mean {found['mean_ppb']:.1f} ppb and "
        f"SD {found['sd_ppb']:.1f} ppb relative to whole brain, {found['volume_ml']:.1f} ml."
    )
    return [line]


def _method(
    stage: str, entry: Mapping[str, Any], selected: Callable[[str, str, Parameters], Parameters]
) -> str:
    given = {k: v for k, v in entry.items() if k not in ("method", "source") and v is not None}
    method = str(entry.get("method", "done"))
    kept = selected(stage, method, given)
    return f"{method} ({', '.join(f'{k}={v}' for k, v in kept.items())})" if kept else method


def _all(_stage: str, _method: str, given: Parameters) -> Parameters:
    return given


def _not_default(stage: str, method: str, given: Parameters) -> Parameters:
    """Leave out what has the default of the method's signature; other stages have no defaults."""
    info = Settings.model_fields.get(stage)
    section = info.default if info else None
    if not isinstance(section, MethodSettings) or method not in section.METHODS:
        return given
    known = {name: p.default for name, p in parameters(section.METHODS[method]).items()}
    return {k: v for k, v in given.items() if k not in known or plain(v) != plain(known[k])}


def _none(_stage: str, _method: str, _given: Parameters) -> Parameters:
    return {}


def _no_end(value: str) -> str:
    """Return a value in which nothing looks like the end of a clause."""
    return text(value, 64).replace(";", ",")


def _sources(provenance: Mapping[str, Mapping[str, Any]], header: Header) -> list[Dataset]:
    """Return references to the images that a map was made of.

    A scan that came as readouts has none: its header refers to the images it was planned on. The
    header does not give their class; images for a chain are MR images.
    """
    if provenance.get("scan", {}).get("method") != "images":
        return []
    measurement = header.document.measurementInformation
    referenced = measurement and measurement.referencedImageSequence
    uids = referenced.referencedSOPInstanceUID if referenced else []
    return [_source(uid) for uid in uids if is_uid(uid)]


def _source(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = MRImageStorage
    item.ReferencedSOPInstanceUID = uid
    item.PurposeOfReferenceCodeSequence = coded(SOURCE)
    return item


def _scanner(header: Header) -> list[Dataset]:
    """Return the scanner as equipment, if its vendor is known; the MRD header has no version."""
    system = header.document.acquisitionSystemInformation
    if not system or not system.systemVendor:
        return []
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = coded(ACQUISITION)
    item.Manufacturer = text(system.systemVendor, 64)
    named = {
        "ManufacturerModelName": text(system.systemModel, 64),
        "DeviceSerialNumber": text(system.deviceSerialNumber, 64),
        "StationName": text(system.stationName, 16),
        "InstitutionName": text(system.institutionName, 64),
    }
    for keyword, value in named.items():
        if value:
            setattr(item, keyword, value)
    return [item]


def _software() -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = coded(PROCESSING)
    item.Manufacturer = SOFTWARE
    item.ManufacturerModelName = SOFTWARE
    item.SoftwareVersions = __version__
    item.ContributionDescription = "Quantitative susceptibility mapping"
    return item
