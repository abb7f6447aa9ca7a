"""Small DICOM objects to send, as files in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from gadgetron_qsm.dicom.identity import stable_uid


@dataclass
class Object:
    """An entry of the outbox, as far as sending goes."""

    file: bytes
    class_uid: str
    instance_uid: str
    transfer_syntax: str = ExplicitVRLittleEndian
    reads: int = 0

    @property
    def key(self) -> str:
        return self.instance_uid

    @cached_property
    def dataset(self) -> Dataset:
        return dcmread(BytesIO(self.file))

    def read(self) -> bytes:
        self.reads += 1
        return self.file


def objects(
    count: int,
    *,
    class_uid: str = MRImageStorage,
    side: int = 8,
    syntax: str = ExplicitVRLittleEndian,
    study: str = "study",
) -> list[Object]:
    """Return instances 1 ... `count` of one series: images of `side` x `side`, 16-bit, all other.

    They hold what a node wants to index them by, not all that their class demands.
    """
    rng = np.random.default_rng(count)
    dataset = _common(class_uid, side, syntax, study)
    made = []
    for number in range(1, count + 1):
        dataset.SOPInstanceUID = stable_uid(study, class_uid, str(number))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = number
        dataset.PixelData = rng.integers(-999, 999, (side, side), np.int16).tobytes()
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        made.append(Object(buffer.getvalue(), class_uid, dataset.SOPInstanceUID, syntax))
    return made


def _common(class_uid: str, side: int, syntax: str, study: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = class_uid
    dataset.Modality = "MR"
    dataset.PatientName, dataset.PatientID = "Müller^Änne", "P-1"
    dataset.StudyInstanceUID = stable_uid(study)
    dataset.SeriesInstanceUID = stable_uid(study, "series", class_uid)
    dataset.StudyDate = dataset.StudyTime = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.RealWorldValueMappingSequence = [Dataset()]
    dataset.RealWorldValueMappingSequence[0].RealWorldValueSlope = 0.1
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = side
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    return dataset
