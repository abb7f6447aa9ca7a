"""Small objects to deliver: series of slices whose pixels say which they are."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

ROOT = "1.2.826.0.1.3680043.10.999"


def instance_uid(series: int, instance: int) -> str:
    return f"{ROOT}.{series}.{instance}"


def uids(series: int, count: int) -> list[str]:
    return [instance_uid(series, instance) for instance in range(1, count + 1)]


def slices(series: int, count: int, side: int = 16) -> Iterator[Dataset]:
    """Give the slices of a series, one data set that changes, as a writer of series has it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "P-17"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.1.{series}"
    dataset.SeriesNumber, dataset.SeriesDescription = series, f"QSM_chi {series} RESEARCH"
    dataset.Rows = dataset.Columns = side
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 1, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    for instance in range(1, count + 1):
        dataset.SOPInstanceUID = instance_uid(series, instance)
        dataset.InstanceNumber = instance
        dataset.PixelData = pixels(series, instance, side)
        yield dataset


def pixels(series: int, instance: int, side: int = 16) -> bytes:
    random = np.random.default_rng([series, instance])
    return random.integers(-3000, 3000, (side, side), dtype=np.int16).astype("<i2").tobytes()


def check(data: bytes) -> str:
    """Assert that the pixels of a Part 10 file are those of its UID; return that."""
    dataset = pydicom.dcmread(BytesIO(data))
    series, instance = map(int, str(dataset.SOPInstanceUID).split(".")[-2:])
    assert dataset.PixelData == pixels(series, instance, dataset.Rows)
    return str(dataset.SOPInstanceUID)
