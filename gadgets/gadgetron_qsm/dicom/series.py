"""A map as a DICOM series: classic MR Image Storage, one file a slice, signed 16-bit.

PS3.3 A.4; the choice of attributes and its reasons: doi:10.1002/mrm.30006 (what to report) and
PS3.3 C.7.6.16.2.11 (Real World Value Mapping, the one lawful scale of a classic MR image).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom import identity, protocol, provenance
from gadgetron_qsm.dicom.codes import real_world_values
from gadgetron_qsm.dicom.kinds import kind_of
from gadgetron_qsm.dicom.pixels import Counts, bright_window, quantise
from gadgetron_qsm.dicom.values import decimal
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.files import replacing

log = logging.getLogger(__name__)


def write_series(volume: Map, header: Header, folder: Path) -> list[Path]:
    """Write a map to `folder/<number>_<description>/<instance>.dcm`; return the files in order.

    Slices are numbered along row x column of the image plane, whichever way the map counts them,
    those of a later echo behind those of the earlier ones: all echoes are one series, and each
    repetition is another.
    Values beyond 16 bits are clipped and values that are not finite written as 0; both are
    counted in the log and in ImageComments.
    Raises ValueError for a map that is not in MAPS or not in its unit, QsmError when a file
    cannot be written.
    """
    stored = quantise(to_numpy(volume.data))
    _log_losses(volume, stored)
    dataset = _common(volume, header, stored)
    description = identity.series_description(volume, header)
    target = folder / f"{dataset.SeriesNumber}_{re.sub('[^A-Za-z0-9]+', '_', description)}"
    files = []
    first = 1 + (volume.echo or 0) * volume.geometry.matrix[0]
    for instance, z in enumerate(slice_order(volume.geometry), start=first):
        _set_slice(dataset, volume.geometry, stored, instance, z)
        files.append(target / f"{instance:04d}.dcm")
        with replacing(files[-1]) as part:
            dataset.save_as(part, enforce_file_format=True)
    return files


def slice_order(geometry: Geometry) -> range:
    """Slice indices such that image positions advance along row x column cosines."""
    count = geometry.matrix[0]
    advances = np.dot(_normal(geometry), geometry.slice_dir) > 0
    return range(count) if advances else range(count - 1, -1, -1)


def _normal(geometry: Geometry) -> np.ndarray:
    return np.cross(geometry.read_dir, geometry.phase_dir)


def _common(volume: Map, header: Header, stored: Counts) -> Dataset:
    """Return everything that the slices of one series share."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    identity.add_patient(dataset, header)
    identity.add_study(dataset, header)
    identity.add_series(dataset, volume, header)
    protocol.add_scanner(dataset, header)
    protocol.add_sequence(dataset, volume, header)
    provenance.add_provenance(dataset, volume, stored, header)
    _add_image(dataset, volume, stored)
    _add_plane(dataset, volume.geometry, header)
    return dataset


def _add_image(dataset: Dataset, volume: Map, stored: Counts) -> None:
    kind = kind_of(volume)
    dataset.ImageType = ["DERIVED", "PRIMARY", "OTHER", kind.image_type]
    dataset.BodyPartExamined = "BRAIN"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    centre, width = kind.window or bright_window(stored.counts)
    dataset.WindowCenter, dataset.WindowWidth = decimal(centre), decimal(width)
    dataset.RealWorldValueMappingSequence = real_world_values(kind)


def _add_plane(dataset: Dataset, geometry: Geometry, header: Header) -> None:
    dz, dy, dx = geometry.voxel_size
    _, dataset.Rows, dataset.Columns = geometry.matrix
    dataset.PixelSpacing = [decimal(dy), decimal(dx)]
    dataset.SliceThickness = decimal(protocol.slice_thickness_mm(geometry, header))
    dataset.SpacingBetweenSlices = decimal(dz)
    dataset.ImageOrientationPatient = [decimal(c) for c in geometry.image_orientation]


def _set_slice(dataset: Dataset, geometry: Geometry, stored: Counts, instance: int, z: int) -> None:
    position = geometry.image_position(z)
    dataset.InstanceNumber = instance
    dataset.SOPInstanceUID = identity.stable_uid(dataset.SeriesInstanceUID, str(instance))
    dataset.ImagePositionPatient = [decimal(c) for c in position]
    dataset.SliceLocation = decimal(np.dot(_normal(geometry), position))
    dataset.PixelData = stored.counts[z].astype("<i2").tobytes()


def _log_losses(volume: Map, stored: Counts) -> None:
    if stored.clipped or stored.not_finite:
        log.warning(
            "map '%s': %d voxels beyond the 16-bit range clipped, %d not finite set to 0",
            volume.name,
            stored.clipped,
            stored.not_finite,
        )
