"""A header completed by the settings where a converter left patient or study out.

siemens_to_ismrmrd writes no patient and no study, ge2ismrmrd and philips_to_ismrmrd leave out
others; what their headers lack, a site may say once and for all, in the section identity.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from typing import Any

from gadgetron_qsm.dicom.header_fields import values_of
from gadgetron_qsm.dicom.header_places import PLACES, present, put
from gadgetron_qsm.dicom.identity import digest, stable_uid
from gadgetron_qsm.dicom.templates import fields, filled, unfit
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.safe_xml import local_name, parse_xml
from gadgetron_qsm.outgoing_sections import IdentitySettings

log = logging.getLogger(__name__)

NEEDED = ("patient_id", "study_uid")  # without them an archive cannot file an image


def completed(header: Header, rules: IdentitySettings) -> Header:
    """Return the header with what it lacks of patient, study and place, as the rules say.

    Its text stays as it came, since identifiers are hashes of it. Placeholders and UIDs that are
    none count as lacking. What was completed is logged without values; see also `completions`.
    Raises QsmError with identity.missing=refuse for what is still not there.
    """
    document = copy.deepcopy(header.document)
    result = replace(header, document=document, series_offset=rules.series_offset)
    _restore_zeros(document, header)
    for name in PLACES:
        if present(document, name) is None:
            put(document, name, None)
    for name in NEEDED:
        _complete(document, name, rules)
    _join_study(document, rules)
    if rules.missing == "made" and present(document, "patient_id") is None:
        put(document, "patient_id", _made_id(result))
    for name in PLACES:  # which may name the patient's ID, now that there is one
        if name not in NEEDED:
            _complete(document, name, rules)
    if rules.missing == "refuse":
        _refuse(document, rules)
    if changes := completions(header, result):
        log.info("patient and study: %s", "; ".join(f"{k} {v}" for k, v in changes.items()))
    return result


def completions(given: Header, result: Header) -> dict[str, Any]:
    """Return what the rules did to a header, by name and without values, for the provenance.

    Empty when they did nothing and the header lacks nothing that an archive needs.
    """
    before = {name: present(given.document, name) for name in PLACES}
    after = {name: present(result.document, name) for name in PLACES}
    # zeros in front of an accession number, which come back, are no change
    names = [n for n in PLACES if (before[n] or "").lstrip("0") != (after[n] or "").lstrip("0")]
    missing = [n for n in NEEDED if after[n] is None]
    told = {"completed": ", ".join(names), "missing": ", ".join(missing)}
    return {key: value for key, value in told.items() if value}


def _complete(document: Any, name: str, rules: IdentitySettings) -> None:
    template = getattr(rules, name)
    if not template or (present(document, name) is not None and not rules.override):
        return
    value = filled(template, values_of(document))
    if not value:
        lacks = ", ".join(f"{{{n}}}" for n in fields(template))
        log.warning("identity.%s is not used: the header lacks one of %s", name, lacks)
    elif problem := unfit(name, value):
        raise QsmError(f"identity.{name} is made a text that does not fit: {problem}")
    else:
        put(document, name, value)


def _join_study(document: Any, rules: IdentitySettings) -> None:
    """Give scans that share a key one StudyInstanceUID, apart from those of other scanners."""
    there = present(document, "study_uid") is not None
    if not rules.study_key or (there and not rules.override):
        return
    values = values_of(document)
    if key := filled(rules.study_key, values):
        scanner = [values.get(n, "") for n in ("vendor", "institution", "station", "serial_number")]
        patient = present(document, "patient_id") or ""  # no study is of two
        put(document, "study_uid", stable_uid("study key", *scanner, key, patient))


def _made_id(header: Header) -> str:
    """Return a PatientID that says nothing: the same for the scans of a study, if it is known."""
    study = present(header.document, "study_uid")
    return f"QSM-{digest('patient', study or header.text).hex()[:12].upper()}"


def _refuse(document: Any, rules: IdentitySettings) -> None:
    values, lacking = values_of(document), []
    for name in [*PLACES, "study_key"]:
        template = getattr(rules, name)
        there = name in PLACES and present(document, name) is not None
        if template and not there and not (name == "study_key" and present(document, "study_uid")):
            absent = ", ".join(f"{{{n}}}" for n in fields(template) if not values.get(n))
            lacking.append(f"{absent or 'a valid value'} for identity.{name}")
        elif name in NEEDED and not there:
            lacking.append(f"a {name}")
    if lacking:
        raise QsmError(
            f"the MRD header lacks {' and '.join(lacking)}; set what identity.* completes, or "
            "identity.missing=made or empty"
        )


def _restore_zeros(document: Any, header: Header) -> None:
    """Put the accession number back as written: it is a name that was read as a number."""
    study = document.studyInformation
    if not study or not isinstance(study.accessionNumber, int):
        return
    for element in parse_xml(header.text, "the MRD header").iter():
        text = (element.text or "").strip()
        if local_name(element) == "accessionNumber" and text != str(study.accessionNumber):
            study.accessionNumber = text
