"""A map as Enhanced MR Image Storage (PS3.3 A.36): one object, a frame a slice."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.common import add_pixel_format, add_pixels
from gadgetron_qsm.dicom.kinds import kind_of
from gadgetron_qsm.dicom.multiframe import frames_of
from gadgetron_qsm.dicom.pixels import quantise
from gadgetron_qsm.dicom.protocol import add_echo
from gadgetron_qsm.mrd.header import Header

COMPONENTS = {"magnitude": "MAGNITUDE", "phase": "PHASE"}
CONTRASTS = {"t2star": "T2_STAR_MAP", "swi_mip": "MINIMUM"}  # others there is no term for


def enhanced(volume: Map, header: Header) -> Iterator[Dataset]:
    """Signed 16-bit counts as in the classic form; each echo is an object of one series."""
    stored = quantise(to_numpy(volume.data), kind_of(volume).step)
    dataset = frames_of(volume, header, stored, EnhancedMRImageStorage, "enhanced")
    _add_image(dataset, volume)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.MRImageFrameTypeSequence = [_frame_type(volume)]
    add_echo(dataset, shared, volume, header)
    add_pixel_format(dataset, volume, stored)
    order = list(volume.geometry.slice_order)
    add_pixels(dataset, stored.counts[order])
    yield dataset


def _add_image(dataset: Dataset, volume: Map) -> None:
    """Set what the Enhanced MR Image module says of all frames."""
    dataset.ImageType = _image_type(volume)
    _add_description(dataset, volume)
    dataset.ApplicableSafetyStandardAgency = "IEC"  # of the scan, whose limits IEC 60601-2-33 sets


def _image_type(volume: Map) -> list[str]:
    return ["DERIVED", "PRIMARY", "T2_STAR", CONTRASTS.get(volume.name, "NONE")]


def _add_description(dataset: Dataset, volume: Map) -> None:
    """Set the MR Image Description macro (PS3.3 C.8.13.3.1), of an image or of its frames."""
    dataset.PixelPresentation = "MONOCHROME"
    dataset.VolumetricProperties = "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.ComplexImageComponent = COMPONENTS.get(volume.name, "REAL")
    dataset.AcquisitionContrast = "T2_STAR"


def _frame_type(volume: Map) -> Dataset:
    kind_of_frame = Dataset()
    kind_of_frame.FrameType = _image_type(volume)
    _add_description(kind_of_frame, volume)
    return kind_of_frame
