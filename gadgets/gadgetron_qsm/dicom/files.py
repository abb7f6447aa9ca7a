"""DICOM objects as files (PS3.10)."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

from pydicom import Dataset

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
