"""Where an MRD header has what settings of identity may complete, and whether it is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ismrmrd
from xsdata.models.datatype import XmlDate

from gadgetron_qsm.dicom.templates import SEXES
from gadgetron_qsm.dicom.values import date_of, is_uid
from gadgetron_qsm.mrd.header import ALONG_THE_BORE

# Programs that take names out of Siemens' raw data write as many x instead, and Gadgetron's own
# DICOM images of a header without patient have XXXXXXXX: neither is anybody's name.
PLACEHOLDER = re.compile(r"x{3,}", re.IGNORECASE)


@dataclass(frozen=True)
class _Place:
    """A section of the header, and what in it."""

    section: str
    attribute: str


PLACES: Mapping[str, _Place] = {
    "patient_id": _Place("subjectInformation", "patientID"),
    "patient_name": _Place("subjectInformation", "patientName"),
    "patient_birth_date": _Place("subjectInformation", "patientBirthdate"),
    "patient_sex": _Place("subjectInformation", "patientGender"),
    "study_uid": _Place("studyInformation", "studyInstanceUID"),
    "study_date": _Place("studyInformation", "studyDate"),
    "study_id": _Place("studyInformation", "studyID"),
    "accession_number": _Place("studyInformation", "accessionNumber"),
    "study_description": _Place("studyInformation", "studyDescription"),
    "patient_position": _Place("measurementInformation", "patientPosition"),
    "frame_uid": _Place("measurementInformation", "frameOfReferenceUID"),
}


def present(document: Any, name: str) -> str | None:
    """Return a value of a parsed header as text, None where there is none to go by."""
    place = PLACES[name]
    section = getattr(document, place.section)
    value = section and getattr(section, place.attribute)
    text = str(getattr(value, "value", value) or "").strip()
    if not text or PLACEHOLDER.fullmatch(text) or not _is_one(name, text):
        return None
    return text


def put(document: Any, name: str, value: str | None) -> None:
    """Set a value of a parsed header, of a text that may be one; None takes it out."""
    place = PLACES[name]
    section = getattr(document, place.section)
    if section is None and value is None:
        return
    if section is None:
        section = _empty_section(place.section)
        setattr(document, place.section, section)
    setattr(section, place.attribute, None if value is None else _as_header(name, value))


def _is_one(name: str, text: str) -> bool:
    """Tell whether a text that stands there may be what it should be."""
    if name == "patient_position":
        return text.upper() in ALONG_THE_BORE
    if name == "patient_sex":
        return text in SEXES
    if name.endswith("_date"):
        return date_of(text) is not None
    return not name.endswith("_uid") or is_uid(text)


def _as_header(name: str, value: str) -> Any:
    if name == "patient_position":
        return ismrmrd.xsd.patientPositionType(value)
    if name.endswith("_date") and (day := date_of(value)):
        return XmlDate(day.year, day.month, day.day)
    return value


def _empty_section(name: str) -> Any:
    if name == "measurementInformation":
        return ismrmrd.xsd.measurementInformationType(patientPosition=None)
    return getattr(ismrmrd.xsd, f"{name}Type")()
