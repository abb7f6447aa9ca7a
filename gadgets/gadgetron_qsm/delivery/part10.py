"""DICOM objects as the bytes of a Part 10 file (PS3.10), with what the outbox must know of them."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from gadgetron_qsm.dicom.files import encoded
from gadgetron_qsm.errors import QsmError

TAGS = ["SOPClassUID", "SOPInstanceUID", "SeriesNumber", "SeriesDescription"]


@dataclass(frozen=True)
class Part10:
    """One object; `series_*` are what a person may know it by, without a word about the patient."""

    data: bytes
    class_uid: str
    instance_uid: str
    transfer_syntax: str
    series_number: str = ""
    series_description: str = ""


def part10(source: Dataset | bytes) -> Part10:
    """Encode a data set, with file_meta.TransferSyntaxUID, or take the bytes of a file.

    Raises QsmError for bytes that are no DICOM file or an object without its UIDs.
    """
    data = source if isinstance(source, bytes) else encoded(source)
    try:
        read = _read(data) if isinstance(source, bytes) else source
        if not read.SOPInstanceUID.is_valid:  # it becomes the name of a file
            raise AttributeError("the instance UID is none")
        return Part10(
            data,
            str(read.SOPClassUID),
            str(read.SOPInstanceUID),
            str(read.file_meta.TransferSyntaxUID),
            str(read.get("SeriesNumber") or ""),
            str(read.get("SeriesDescription") or ""),
        )
    except (InvalidDicomError, AttributeError) as error:
        raise QsmError(
            "what shall be delivered is no DICOM object with SOP class and instance UID; give "
            "data sets or the bytes of Part 10 files"
        ) from error


def _read(file: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(file), stop_before_pixels=True, specific_tags=[*TAGS])
