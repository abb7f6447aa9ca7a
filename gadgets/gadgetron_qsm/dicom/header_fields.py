"""The fields of a scan's header that templates may name, with their values."""

from __future__ import annotations

from typing import Any

from gadgetron_qsm.dicom.templates import USER
from gadgetron_qsm.dicom.values import date, text, time

LONGEST = 256


def values_of(document: Any) -> dict[str, str]:
    """Return what a parsed MRD header says for each field of templates.FIELDS; "" for nothing."""
    subject, study = document.subjectInformation, document.studyInformation
    measurement = document.measurementInformation
    system = document.acquisitionSystemInformation
    values = {
        "patient_id": subject and subject.patientID,
        "patient_name": subject and subject.patientName,
        "study_id": study and study.studyID,
        "study_date": date(study and study.studyDate),
        "accession_number": study and study.accessionNumber,
        "measurement_id": measurement and measurement.measurementID,
        "exam": exam_of(measurement and measurement.measurementID),
        "series_number": measurement and measurement.initialSeriesNumber,
        "series_date": date(measurement and measurement.seriesDate),
        "series_time": time(measurement and measurement.seriesTime)[:6],
        "protocol": measurement and measurement.protocolName,
        "vendor": system and system.systemVendor,
        "model": system and system.systemModel,
        "station": system and system.stationName,
        "institution": system and system.institutionName,
        "serial_number": system and system.deviceSerialNumber,
        **_user_parameters(document.userParameters),
    }
    return {name: text(value, LONGEST) for name, value in values.items()}


def exam_of(measurement_id: str | None) -> str:
    """Return a measurementID less what follows its last underscore, "" if that says nothing.

    siemens_to_ismrmrd writes numbers of the patient, the study and the measurement so.
    """
    exam = (measurement_id or "").rpartition("_")[0]
    return exam if any(c.isalnum() for c in exam) else ""


def _user_parameters(parameters: Any) -> dict[str, Any]:
    if not parameters:
        return {}
    every = [
        *parameters.userParameterLong,
        *parameters.userParameterDouble,
        *parameters.userParameterString,
    ]
    return {f"{USER}{entry.name}": entry.value for entry in every}
