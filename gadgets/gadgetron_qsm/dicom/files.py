"""DICOM objects as files (PS3.10)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from gadgetron_qsm.report.files import replacing

SUFFIX = r"( \[[^]]*\])?( RESEARCH)?$"  # unit and use, which a series' description ends with


def save(dataset: Dataset, root: Path) -> Path:
    """Write an object, whole or not at all; return its file.

    It is `root/<SeriesNumber>_<description>/<InstanceNumber>.dcm`; the description is the series'
    without unit and use. Raises QsmError when it cannot be written.
    """
    description = re.sub(SUFFIX, "", str(dataset.get("SeriesDescription", "")))
    series = f"{dataset.SeriesNumber}_{re.sub('[^A-Za-z0-9]+', '_', description)}".rstrip("_")
    path = root / series / f"{dataset.InstanceNumber:04d}.dcm"
    with replacing(path) as part:
        dataset.save_as(part, enforce_file_format=True)
    return path


def encoded(dataset: Dataset) -> bytes:
    """Return an object as the bytes of a whole file, with preamble and head."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def copies(dataset: Dataset, count: int) -> Iterator[Dataset]:
    """Give `count` copies of a dataset, less its head, that share nothing.

    They are read from its bytes, and decoded only where somebody looks: a quarter of the time
    that copying its elements and encoding them again takes.
    """
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    encoded_once = buffer.getvalue()
    for _ in range(count):
        yield read_dataset(BytesIO(encoded_once), is_implicit_VR=False, is_little_endian=True)
