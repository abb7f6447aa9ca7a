"""What images of every form have in common: whose, of what series, made how, and their pixels."""

from __future__ import annotations

import logging
from typing import Any

from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom import identity, protocol, provenance
from gadgetron_qsm.dicom.kinds import Window, kind_of
from gadgetron_qsm.dicom.pixels import Counts, bright_window
from gadgetron_qsm.mrd.header import Header

PIXEL_DATA = 0x7FE00010  # OB or OW in the dictionary

log = logging.getLogger(__name__)


def described(volume: Map, header: Header, stored: Counts, form: str) -> Dataset:
    """Return patient, study, series, frame of reference, scanner and provenance of a map."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Modality = "MR"
    identity.add_patient(dataset, header)
    identity.add_study(dataset, header)
    identity.add_series(dataset, volume, header, form)
    protocol.add_scanner(dataset, header)
    provenance.add_provenance(dataset, volume, stored, header)
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    return dataset


def number(dataset: Dataset, sop_class: UID, instance: int) -> None:
    """Make a dataset the instance of that number in its series, with the head of its file."""
    dataset.SOPClassUID = sop_class
    dataset.InstanceNumber = instance
    dataset.SOPInstanceUID = identity.stable_uid(dataset.SeriesInstanceUID, str(instance))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def add_pixel_format(dataset: Dataset, volume: Map, stored: Counts) -> None:
    """Set what whole counts are like (Image Pixel module), less the counts themselves."""
    _, dataset.Rows, dataset.Columns = volume.geometry.matrix
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = stored.bits
    dataset.HighBit = stored.bits - 1
    dataset.PixelRepresentation = 1 if stored.signed else 0


def add_pixels(dataset: Dataset, counts: NDArray[Any]) -> None:
    """Set the counts, signed or unsigned 16-bit, (y, x) or (frame, y, x)."""
    little_endian = counts.astype(counts.dtype.newbyteorder("<"), copy=False)
    dataset.add(DataElement(PIXEL_DATA, "OW", little_endian.tobytes()))


def window(volume: Map, stored: Counts) -> Window:
    """Centre and width in the map's unit: fixed for its kind, or from its values."""
    return kind_of(volume).window or bright_window(stored.sample)


def log_losses(volume: Map, stored: Counts) -> None:
    """Warn of values that are not stored as they are, and tell of those that are not valid."""
    if stored.clipped or stored.not_finite:
        harmless = stored.holds(volume.reach) and not stored.not_finite
        log.log(
            logging.INFO if harmless else logging.WARNING,
            "map '%s': %d voxels%s beyond the %d-bit range clipped, %d not finite set to 0",
            volume.name,
            stored.clipped,
            provenance.OUTSIDE if stored.holds(volume.reach) else "",
            stored.bits,
            stored.not_finite,
        )
