"""Whose image it is: patient, study, series and instance, as the MRD header says or stably made.

Unique identifiers are made from a hash. The same scan (header and position) reconstructed with
the same methods, parameters and version has the same identifiers, anything else has others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from typing import Any

from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.uid import UID

from gadgetron_qsm import __version__
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import MAPS, kind_of
from gadgetron_qsm.dicom.values import date, decimal, name, text, time
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.plain import plain

log = logging.getLogger(__name__)

SERIES_BLOCK = 1000  # numbers kept for the maps of one scan
REPETITION_BLOCK = 20  # numbers kept for the maps of one of its repetitions
SCANNER_BLOCKS = 10  # scanners count to below 10 000
LARGEST_SCANNER_NUMBER = 2_000_000  # beyond, the product would leave the range of VR IS


def stable_uid(*parts: str) -> str:
    """UID of root 2.25 (ITU-T X.667) from a hash of `parts`; the same parts give the same UID."""
    return f"2.25.{uuid.UUID(bytes=_digest(*parts)[:16], version=5).int}"


def series_uid(volume: Map, header: Header, form: str = "classic") -> str:
    """SeriesInstanceUID of one map of one scan with one set of methods and parameters.

    Another unit than the kind's own, and another form, are other series.
    """
    made = json.dumps(plain(volume.report.get("provenance", {})), sort_keys=True)
    where = repr(volume.geometry)
    written = [f"repetition {volume.repetition}"] if volume.repetition else []
    if volume.unit != MAPS[volume.name].unit:
        written.append(f"in {volume.unit}")
    if form != "classic":
        written.append(f"form {form}")
    return stable_uid("series", __version__, header.text, where, made, volume.name, *written)


def series_description(volume: Map, header: Header) -> str:
    """Name of a map's series, with the number (from 1) of the repetition when there are several."""
    description = kind_of(volume).description
    if volume.repetition or header.repetitions > 1:
        description += f" rep{volume.repetition + 1}"
    return description


def scan_name(volume: Map, header: Header) -> str:
    """Name of a folder for one scan, without a word about the patient; another scan has another."""
    scan = json.dumps(plain(volume.report.get("provenance", {}).get("scan", {})), sort_keys=True)
    return _digest(header.text, scan).hex()[:12]


def series_number(volume: Map, header: Header) -> int:
    """Return 1000 * (10 + initialSeriesNumber) + 20 * repetition + the offset of the map's kind.

    Never a number that the scanner gives (they stay below 10 000), never the same for the maps
    of two scans with different numbers. Without initialSeriesNumber it counts as 0. The numbers
    last for 50 repetitions; later ones share them with the first.
    """
    measurement = header.document.measurementInformation
    scanner = (measurement and measurement.initialSeriesNumber) or 0
    if not 0 <= scanner <= LARGEST_SCANNER_NUMBER:
        scanner = 0
    within = REPETITION_BLOCK * volume.repetition % SERIES_BLOCK + kind_of(volume).number
    return SERIES_BLOCK * (SCANNER_BLOCKS + scanner) + within


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
    study = header.document.studyInformation
    dataset.StudyInstanceUID = _uid(study and study.studyInstanceUID, "study", header)
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
    frame = measurement and measurement.frameOfReferenceUID
    dataset.FrameOfReferenceUID = _uid(frame, "frame of reference", header)
    dataset.PositionReferenceIndicator = ""


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\x1f".join(parts).encode()).digest()


def _uid(given: Any, role: str, header: Header) -> str:
    if given and UID(given, validation_mode=IGNORE).is_valid:
        return str(given)
    log.info("the MRD header has no valid UID of the %s; made one from the header", role)
    return stable_uid(role, header.text)
