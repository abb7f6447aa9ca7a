"""Objects without the patient's identity: the basic profile of PS3.15 annex E, with its options.

UIDs and the patient's pseudonym are keyed hashes (HMAC-SHA256, RFC 2104). With the same key, the
same original has the same stand-in in every object, so that references hold and the visits of a
patient stay together; without the key nobody can find an original by trying likely ones.
Pixels stay as they are: a magnitude of a head shows the face, and the profile's option to clean
recognizable visual features is not applied.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import date
from functools import cached_property

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from gadgetron_qsm import __version__
from gadgetron_qsm.dicom import confidentiality as profile
from gadgetron_qsm.dicom.codes import coded
from gadgetron_qsm.dicom.header_fields import values_of
from gadgetron_qsm.dicom.identity import uid_of
from gadgetron_qsm.dicom.kinds import DCM, Code
from gadgetron_qsm.dicom.provenance import SOFTWARE, without_scan
from gadgetron_qsm.dicom.templates import filled
from gadgetron_qsm.dicom.values import name, text
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.outgoing_sections import SHORTEST_KEY, IdentitySettings

STANDARD_UIDS = "1.2.840.10008."  # of DICOM itself: classes, syntaxes, coding schemes
OLDEST = 90  # years; those above count as one age, because they are few

BASIC: Code = ("113100", DCM, "Basic Application Confidentiality Profile")
CLEAN_CONTENT: Code = ("113104", DCM, "Clean Structured Content Option")
CLEAN_DESCRIPTORS: Code = ("113105", DCM, "Clean Descriptors Option")
KEEP_DATES: Code = (
    "113106",
    DCM,
    "Retain Longitudinal Temporal Information Full Dates Option",
)
KEEP_PATIENT: Code = ("113108", DCM, "Retain Patient Characteristics Option")
KEEP_DEVICE: Code = ("113109", DCM, "Retain Device Identity Option")


def deidentified(dataset: Dataset, rules: IdentitySettings, header: Header) -> Dataset:
    """Return an object without the patient's identity; `dataset` stays as it is.

    PatientID and PatientName are the texts of the rules filled in from the scan's header, or a
    pseudonym. Dates, station and serial number, and sex, age, weight and height stay where the
    rules say so. All else that may identify is emptied, replaced or removed, at every depth.
    Raises QsmError for a file of the key that cannot be read, or whose key is too short.
    """
    return _Cleaner(rules).cleaned_object(dataset, header)


def pseudonym(original: Dataset, rules: IdentitySettings) -> str:
    """Return the pseudonym that a patient has in objects made by these rules.

    Raises QsmError as `deidentified` does.
    """
    return _Cleaner(rules).pseudonym(original)


class _Cleaner:
    """The profile with the options of one site."""

    def __init__(self, rules: IdentitySettings) -> None:
        self._rules = rules
        self._kept: frozenset[str] = profile.KEPT
        if rules.keep_device:
            self._kept |= profile.OF_DEVICE
        if rules.keep_patient:
            self._kept |= profile.OF_PATIENT
        if rules.keep_dates:
            self._kept |= profile.OF_DATES

    def cleaned_object(self, dataset: Dataset, header: Header) -> Dataset:
        """Return a whole object, with the head of its file, and with what was done to it."""
        result = self._cleaned(dataset)
        result.file_meta = self._cleaned_meta(dataset)
        self._add_patient(result, dataset, header)
        result.PatientIdentityRemoved = "YES"
        result.DeidentificationMethod = f"{SOFTWARE} {__version__}"
        result.DeidentificationMethodCodeSequence = Sequence(
            item for code in self._methods() for item in coded(code)
        )
        result.LongitudinalTemporalInformationModified = (
            "UNMODIFIED" if self._rules.keep_dates else "REMOVED"
        )
        return result

    def _methods(self) -> list[Code]:
        """Return profile and options; the same in all objects, as they are the patient's."""
        options = {
            KEEP_DATES: self._rules.keep_dates,
            KEEP_PATIENT: self._rules.keep_patient,
            KEEP_DEVICE: self._rules.keep_device,
        }
        kept = [code for code, applied in options.items() if applied]
        return [BASIC, CLEAN_CONTENT, CLEAN_DESCRIPTORS, *kept]

    def _cleaned(self, dataset: Dataset) -> Dataset:
        result = Dataset()
        for element in dataset:
            if (cleaned := self._cleaned_element(element)) is not None:
                result.add(cleaned)
        return result

    def _cleaned_element(self, element: DataElement) -> DataElement | None:
        """Return what stays of an element, None for nothing; the first rule that fits holds."""
        tag, vr = element.tag, element.VR
        if tag.group not in profile.GROUPS or not dictionary_has_tag(tag):
            return None
        keyword = keyword_for_tag(tag)
        if keyword in self._kept:
            return _without_scan(element)
        if keyword in profile.REPLACED:
            return DataElement(tag, vr, profile.REPLACED[keyword])
        if keyword in profile.EMPTIED:
            return DataElement(tag, vr, Sequence() if vr == "SQ" else "")
        if vr in profile.TIMES and self._rules.keep_dates and tag.group != profile.PATIENT:
            return element
        if keyword in profile.REMOVED or tag.group == profile.PATIENT or vr in profile.TEXTS:
            return None
        return self._replaced(element, keyword)

    def _replaced(self, element: DataElement, keyword: str) -> DataElement:
        tag, vr = element.tag, element.VR
        if vr == "SQ":
            items = self._content(element.value) if keyword == "ContentSequence" else element.value
            return DataElement(tag, vr, Sequence([self._cleaned(item) for item in items]))
        if vr == "UI":
            values = element.value if element.VM > 1 else [element.value]
            replaced = [self._uid(uid) for uid in values if uid]
            return DataElement(tag, vr, replaced if len(replaced) > 1 else "".join(replaced))
        if vr in profile.TIMES:
            return DataElement(tag, vr, profile.DUMMY_TIMES[vr] if element.value else "")
        return element

    def _content(self, items: Sequence) -> list[Dataset]:
        removed = profile.CONTENT
        if not self._rules.keep_device:
            removed |= profile.CONTENT_OF_DEVICE
        if not self._rules.keep_patient:
            removed |= profile.CONTENT_OF_PATIENT
        return [item for item in items if _concept(item) not in removed]

    def _cleaned_meta(self, dataset: Dataset) -> FileMetaDataset:
        """Return the head of the file: what class and syntax, not who sent it to whom."""
        given = getattr(dataset, "file_meta", FileMetaDataset())
        meta = FileMetaDataset()
        for keyword in (
            "FileMetaInformationVersion",
            "MediaStorageSOPClassUID",
            "TransferSyntaxUID",
            "ImplementationClassUID",
            "ImplementationVersionName",
        ):
            if keyword in given:
                meta[keyword] = given[keyword]
        if "MediaStorageSOPInstanceUID" in given:
            meta.MediaStorageSOPInstanceUID = UID(self._uid(given.MediaStorageSOPInstanceUID))
        return meta

    def _add_patient(self, result: Dataset, original: Dataset, header: Header) -> None:
        values = values_of(header.document)
        pseudonym = self.pseudonym(original)
        result.PatientID = text(filled(self._rules.patient_id or "", values), 64)
        result.PatientID = result.PatientID or f"QSM-{pseudonym}"
        result.PatientName = name(filled(self._rules.patient_name or "", values))
        result.PatientName = result.PatientName or f"QSM^{pseudonym}"
        if "StudyID" in original:
            result.StudyID = self._hashed("study", str(original.StudyInstanceUID)).hex()[:8].upper()
        age = _age(original)
        if self._rules.keep_patient and age is not None and "PatientAge" not in result:
            result.PatientAge = f"{min(age, OLDEST):03d}Y"

    def pseudonym(self, original: Dataset) -> str:
        """Return a name for the patient: by ID, or by name and birth date, or one of the study."""
        patient = str(original.get("PatientID", ""))
        if not patient and original.get("PatientName"):
            patient = f"{original.PatientName}\x1f{original.get('PatientBirthDate', '')}"
        patient = patient or str(original.get("StudyInstanceUID", ""))
        return self._hashed("patient", patient).hex()[:16].upper()

    def _uid(self, uid: str) -> str:
        if uid.startswith(STANDARD_UIDS):
            return uid
        return uid_of(self._hashed("uid", uid))

    def _hashed(self, role: str, original: str) -> bytes:
        return hmac.new(self._key, f"{role}\x1f{original}".encode(), hashlib.sha256).digest()

    @cached_property
    def _key(self) -> bytes:
        key = self._rules.key.get_secret_value().encode() if self._rules.key else b""
        if self._rules.key_file:
            try:
                key = self._rules.key_file.read_bytes().strip()
            except OSError as error:
                raise QsmError(
                    f"the file of identity.key_file cannot be read: {error.strerror}"
                ) from error
        if len(key) < SHORTEST_KEY:
            raise UsageError(f"identity.key or key_file holds fewer than {SHORTEST_KEY} characters")
        return key


def _without_scan(element: DataElement) -> DataElement:
    """Return words of ours without the protocol and measurement that they may name."""
    if element.VR not in ("ST", "LT", "UT"):
        return element
    return DataElement(element.tag, element.VR, without_scan(str(element.value)))


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeValue", "")) if names else ""


def _age(dataset: Dataset) -> int | None:
    """Return the whole years from birth to study, None when a date is missing."""
    days = [str(dataset.get(k, "")) for k in ("PatientBirthDate", "StudyDate")]
    try:
        born, then = (date(int(d[:4]), int(d[4:6]), int(d[6:8])) for d in days)
    except ValueError:
        return None
    years = then.year - born.year - ((then.month, then.day) < (born.month, born.day))
    return years if years >= 0 else None
