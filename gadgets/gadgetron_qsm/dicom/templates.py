"""Texts with {fields} of a scan's header in braces, as settings give them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from string import Formatter

from gadgetron_qsm.dicom.values import date_of, is_uid
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.methods import instead

# What a field is called, and what it is in the MRD header.
FIELDS: Mapping[str, str] = {
    "patient_id": "patientID",
    "patient_name": "patientName",
    "study_id": "studyID",
    "study_date": "studyDate, as YYYYMMDD",
    "accession_number": "accessionNumber",
    "measurement_id": "measurementID",
    "exam": "measurementID less its last part; siemens_to_ismrmrd's: patient and study",
    "series_number": "initialSeriesNumber",
    "series_date": "seriesDate, as YYYYMMDD",
    "series_time": "seriesTime, as HHMMSS",
    "protocol": "protocolName",
    "vendor": "systemVendor",
    "model": "systemModel",
    "station": "stationName",
    "institution": "institutionName",
    "serial_number": "deviceSerialNumber",
}
USER = "user."  # and the name of a userParameterString, userParameterLong or userParameterDouble
# Fields that say nothing of a person or a place; what a user parameter says, its site knows.
HARMLESS = ("vendor", "model")
# Characters that DICOM allows: a longer text cut short may be another patient's or order's.
LONGEST = {
    **dict.fromkeys(("patient_id", "patient_name", "study_description"), 64),
    **dict.fromkeys(("study_id", "accession_number"), 16),
}

SEXES = ("M", "F", "O")  # that DICOM and MRD know


def fields(template: str) -> list[str]:
    """Return the names of the fields in a template.

    Raises UsageError for braces that do not match, and for a field that there is not.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise UsageError("has braces that do not match; write {{ and }} for braces") from error
    names = [name for _, name, _, _ in parts if name is not None]
    if any(form or conversion for _, _, form, conversion in parts):
        raise UsageError("has a ':' or '!' in braces; only the name of a field may stand there")
    for name in names:
        if name not in FIELDS and not (name.startswith(USER) and len(name) > len(USER)):
            known = instead(name, [*FIELDS, f"{USER}NAME"])
            raise UsageError(f"names {{{name}}}, which is no field{known}")
    return names


def filled(template: str, values: Mapping[str, str]) -> str | None:
    """Return a template with its fields filled in, or None when a field has no value.

    Half an identifier would be the same for many patients, so there is none instead.
    """
    if not all(values.get(name) for name in fields(template)):
        return None
    parts = Formatter().parse(template)
    return "".join(text + (values[name] if name else "") for text, name, _, _ in parts).strip()


def unfit(name: str, value: str) -> str | None:
    """Say why a text cannot be the value of a setting of identity; None when it can."""
    if name.endswith("_uid"):
        return None if is_uid(value) else "it is no UID"
    if name.endswith("_date"):
        return None if date_of(value) else "it is no date; write YYYYMMDD"
    if name.endswith("_sex"):
        return None if value in SEXES else f"it is none of {', '.join(SEXES)}"
    if "\\" in value or not value.isprintable():
        return "a backslash or control character separates values in DICOM"
    longest = LONGEST.get(name, math.inf)
    return f"it has more than {longest} characters" if len(value) > longest else None
