"""Whose image it is: patient, study, series and instance, as the MRD header says or stably made.

Unique identifiers are made from a hash. The same scan (header and position) reconstructed with
the same methods, parameters and version has the same identifiers, anything else has others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from pydicom import Dataset

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import kind_of
from gadgetron_qsm.dicom.values import date, decimal, is_uid, name, text, time
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.plain import plain

log = logging.getLogger(__name__)

SERIES_BLOCK = 1000  # numbers kept for the maps of one scan
REPETITION_BLOCK = 20  # numbers kept for the maps of one of its repetitions
REPETITIONS = SERIES_BLOCK // REPETITION_BLOCK
SCANS = 200_000  # blocks; later repetitions have blocks above those of all scans
UNNUMBERED = range(10_000, 20_000)  # blocks of scans without a number
LATER_REPETITIONS = 10  # times SCANS blocks, more would leave the range of VR IS
MEASURED = ("odd_even_phase", "sense")  # stages that report what they found, not what was set
SEGMENTATION, REPORT = 16, 17  # offsets of what is made of all maps of a scan


def stable_uid(*parts: str) -> str:
    """UID of root 2.25 (ITU-T X.667) from a hash of `parts`; the same parts give the same UID."""
    return uid_of(digest(*parts))


def uid_of(hashed: bytes) -> str:
    """UID of root 2.25 whose number is the first 16 bytes of a hash, as a UUID of version 5."""
    return f"2.25.{uuid.UUID(bytes=hashed[:16], version=5).int}"


def digest(*parts: str) -> bytes:
    """Hash (32 bytes) of texts, which it keeps apart from each other."""
    return hashlib.sha256("\x1f".join(parts).encode()).digest()


def series_uid(volume: Map, header: Header, form: str = "classic") -> str:
    """SeriesInstanceUID of one map of one scan with one set of methods and parameters.

    What it is a hash of: the header as it came and whose it was completed to be, the scan's number
    and time, where the voxels are, version, methods and parameters, and the map's name, unit,
    repetition and form ("classic", "enhanced" ...). Of nothing that is computed from the data: two
    runs may round it differently.
    """
    made = json.dumps(plain(_set(volume.report.get("provenance", {}))), sort_keys=True)
    where = repr(volume.geometry)
    written = [volume.name, volume.unit, str(volume.repetition), form]
    return stable_uid("series", __version__, header.text, *_whose(header), where, made, *written)


def _set(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was set: of stages that report what they found, that they ran."""
    return {
        stage: entry.get("method", "") if stage in MEASURED else entry
        for stage, entry in provenance.items()
    }


def _whose(header: Header) -> list[str]:
    """Return what settings may have completed: no instance is two patients', or has two numbers."""
    document = header.document
    subject, study = document.subjectInformation, document.studyInformation
    measurement = document.measurementInformation
    values = [
        subject and subject.patientID,
        subject and subject.patientName,
        subject and subject.patientBirthdate,
        subject and subject.patientGender,
        study and study.studyInstanceUID,
        study and study.studyDate,
        study and study.studyID,
        study and study.accessionNumber,
        study and study.studyDescription,
        measurement and measurement.frameOfReferenceUID,
        header.patient_position,
        header.series_offset,
    ]
    return [str(value or "") for value in values]


def series_description(volume: Map, header: Header) -> str:
    """Name of a map's series, with the number (from 1) of the repetition when there are several."""
    kind = kind_of(volume)
    description = kind.description
    region = volume.report.get("provenance", {}).get("reference", {}).get("region", "")
    if kind.referenced and region.startswith("CSF"):  # another zero than that of the default
        description += " ref CSF"
    if volume.repetition or header.repetitions > 1:
        description += f" rep{volume.repetition + 1}"
    return description


def scan_name(volume: Map, header: Header) -> str:
    """Name of a folder for one scan, without a word about the patient; another scan has another."""
    scan = json.dumps(plain(volume.report.get("provenance", {}).get("scan", {})), sort_keys=True)
    return digest(header.text, scan).hex()[:12]


def series_number(volume: Map, header: Header, offset: int | None = None) -> int:
    """Return 1 000 000 + 1000 * scan + 20 * repetition + the offset of the map's kind.

    The scan is initialSeriesNumber; of a scan without one it is made of the measurement's number.
    `offset` (1 to 19) is for what is no map; the million is the header's `series_offset`.

    A scanner gives none of these numbers. Siemens counts from 1, Philips has 100 * scan + 1 (401,
    1201), GE 100 * source for what it derives and 100 * 100 * source for what it derives of that,
    Canon 1000 * scan: below a million. No number of ours is a multiple of 20, as 100 * source is,
    which other programs give too. The maps of two scans with different numbers do not meet. The
    51st repetition and those behind it count in blocks of their own; the 501st has the numbers of
    the first.
    """
    floor, within = divmod(volume.repetition, REPETITIONS)
    block = _scan_block(volume, header) + SCANS * (floor % LATER_REPETITIONS)
    kind = kind_of(volume).number if offset is None else offset
    return header.series_offset + SERIES_BLOCK * block + REPETITION_BLOCK * within + kind


def _scan_block(volume: Map, header: Header) -> int:
    measurement = header.document.measurementInformation
    number = (measurement and measurement.initialSeriesNumber) or 0
    if 0 < number < SCANS:
        return int(number)
    scan = volume.report.get("provenance", {}).get("scan", {})
    # Scanners count measurements, so those of one exam have blocks of their own.
    counted = scan.get("measurement_uid") or int.from_bytes(digest(header.text)[:4], "big")
    return UNNUMBERED[int(counted) % len(UNNUMBERED)]


def add_patient(dataset: Dataset, header: Header) -> None:
    """Set the Patient and Patient Study modules; what the header leaves out stays empty."""
    subject = header.document.subjectInformation
    gender = subject and subject.patientGender
    dataset.PatientName = name(subject and subject.patientName)
    dataset.PatientID = text(subject and subject.patientID, 64)
    dataset.PatientBirthDate = date(subject and subject.patientBirthdate)
    dataset.PatientSex = gender if gender in ("M", "F", "O") else ""
    if subject and subject.patientWeight_kg:
        dataset.PatientWeight = decimal(subject.patientWeight_kg)
    if subject and subject.patientHeight_m:
        dataset.PatientSize = decimal(subject.patientHeight_m)


def add_study(dataset: Dataset, header: Header) -> None:
    """Set the General Study module.

    Without a StudyInstanceUID in the header the scan becomes a study of its own: nothing else
    in the header is safe enough to join it with other scans.
    """
    study, subject = header.document.studyInformation, header.document.subjectInformation
    patient = str((subject and subject.patientID) or "")  # no study is of two
    dataset.StudyInstanceUID = _uid(study and study.studyInstanceUID, "study", header, patient)
    dataset.StudyDate = date(study and study.studyDate)
    dataset.StudyTime = time(study and study.studyTime)
    dataset.StudyID = text(study and study.studyID, 16)
    dataset.AccessionNumber = text(study and study.accessionNumber, 16)
    dataset.ReferringPhysicianName = name(study and study.referringPhysicianName)
    if study and study.studyDescription:
        dataset.StudyDescription = text(study.studyDescription, 64)


def add_series(dataset: Dataset, volume: Map, header: Header, form: str = "classic") -> None:
    """Set the General Series identifiers and the Frame of Reference module."""
    measurement = header.document.measurementInformation
    dataset.SeriesInstanceUID = series_uid(volume, header, form)
    dataset.SeriesNumber = series_number(volume, header)
    unit = f" [{volume.unit}]" if volume.unit else ""
    dataset.SeriesDescription = f"{series_description(volume, header)}{unit} RESEARCH"
    dataset.PatientPosition = header.patient_position
    if measurement and measurement.seriesDate:
        dataset.SeriesDate = dataset.ContentDate = date(measurement.seriesDate)
    if measurement and measurement.seriesTime:
        dataset.SeriesTime = dataset.ContentTime = time(measurement.seriesTime)
    dataset.FrameOfReferenceUID = frame_of_reference(header)
    dataset.PositionReferenceIndicator = ""


def frame_of_reference(header: Header) -> str:
    """FrameOfReferenceUID of a scan's images."""
    measurement = header.document.measurementInformation
    frame = measurement and measurement.frameOfReferenceUID
    return _uid(frame, "frame of reference", header)


def _uid(given: Any, role: str, header: Header, *more: str) -> str:
    if is_uid(given):
        return str(given)
    log.info("the MRD header has no valid UID of the %s; made one from the header", role)
    return stable_uid(role, header.text, *more)
