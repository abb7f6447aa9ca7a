"""What measurement.json says of a scan: whose and when, how it was scanned, how chi was made."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from pydicom import Dataset

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom import identity
from gadgetron_qsm.dicom.deidentify import pseudonym
from gadgetron_qsm.mrd.anonymous import anonymous_scan
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.outgoing_sections import IdentitySettings
from gadgetron_qsm.report.provenance import software

USE = "Research, not for diagnosis."
DIGITS = 16  # of a pseudonym


def about(chi: Map, header: Header, rules: IdentitySettings) -> dict[str, Any]:
    """Return the sections of measurement.json that visits are compared by.

    No name, identifier or birth date is in it: the patient is a digest, that of de-identified
    objects where `rules` make such, from which nobody reads the identifier, but whoever knows it
    can verify it.
    """
    report = chi.report
    methods = dict(report.get("provenance", {}))
    source = anonymous_scan(methods.pop("scan", {}))
    return {
        "use": USE,
        "software": software(),
        "patient": patient(header, rules),
        "acquired": acquired(header) if rules.keep_dates or not rules.deidentify else None,
        "scan": {
            "field_strength_t": round(header.field_strength_t, 6),
            "larmor_hz": header.larmor_hz,
            "voxel_size_mm": chi.geometry.voxel_size,
            "matrix": chi.geometry.matrix,
            "b0_direction": [round(part, 6) for part in chi.geometry.b0_direction],
            "echo_times_s": [round(te, 9) for te in header.echo_times_s],
            "repetition": chi.repetition + 1,
            "measurement_uid": source.get("measurement_uid"),
        },
        "methods": methods,
        "reference": report.get("quality", {}).get("reference", {}),
    }


def patient(header: Header, rules: IdentitySettings) -> str | None:
    """Return a stand-in for the patient that is the same at each visit; None without an ID."""
    whose = Dataset()
    identity.add_patient(whose, header)
    if not (whose.PatientID or whose.PatientName):
        return None
    if rules.deidentify:
        return pseudonym(whose, rules)
    named = whose.PatientID or f"{whose.PatientName}\x1f{whose.PatientBirthDate}"
    return hashlib.sha256(f"patient\x1f{named}".encode()).hexdigest()[:DIGITS].upper()


def acquired(header: Header) -> str | None:
    """Return when the series, else the study, was made, in ISO 8601; None when nothing tells."""
    measurement, study = header.document.measurementInformation, header.document.studyInformation
    for day, time in (
        (measurement and measurement.seriesDate, measurement and measurement.seriesTime),
        (study and study.studyDate, study and study.studyTime),
    ):
        if day:
            clock = f"{time.hour:02d}:{time.minute:02d}:{time.second:02d}" if time else "00:00:00"
            return f"{day.year:04d}-{day.month:02d}-{day.day:02d}T{clock}"
    return None


def age_years(header: Header) -> float | None:
    """Return the patient's age at the scan; None when a date is missing or before the birth."""
    subject, when = header.document.subjectInformation, acquired(header)
    born = subject and subject.patientBirthdate
    if not (born and when):
        return None
    days = (date.fromisoformat(when[:10]) - date(born.year, born.month, born.day)).days
    return days / 365.25 if days >= 0 else None
