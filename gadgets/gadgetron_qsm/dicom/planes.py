"""The place of the slices of a volume, as every form of image states them."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from gadgetron_qsm.dicom.protocol import slice_thickness_mm
from gadgetron_qsm.dicom.values import decimal
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header


def add_measures(dataset: Dataset, geometry: Geometry, header: Header) -> None:
    """Set size and distance of the voxels (Image Plane module, or a Pixel Measures item)."""
    dz, dy, dx = geometry.voxel_size
    dataset.PixelSpacing = [decimal(dy), decimal(dx)]
    dataset.SliceThickness = decimal(slice_thickness_mm(geometry, header))
    dataset.SpacingBetweenSlices = decimal(dz)


def add_orientation(dataset: Dataset, geometry: Geometry) -> None:
    """Set the direction cosines of rows and columns."""
    dataset.ImageOrientationPatient = [decimal(c) for c in geometry.image_orientation]


def add_position(dataset: Dataset, geometry: Geometry, z: int) -> None:
    """Set the centre of the first voxel of slice `z`."""
    dataset.ImagePositionPatient = [decimal(c) for c in geometry.image_position(z)]


def location(geometry: Geometry, z: int) -> float:
    """Return where slice `z` lies along row x column, mm."""
    normal = np.cross(geometry.read_dir, geometry.phase_dir)
    return float(np.dot(normal, geometry.image_position(z)))
