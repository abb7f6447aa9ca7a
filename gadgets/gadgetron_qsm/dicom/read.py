"""A DICOM series back as an array in real units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from gadgetron_qsm.errors import QsmError

POSITION_TOLERANCE_MM = 0.01  # uneven slices: one is missing, or two series share the folder


def read_series(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a folder written by `write_series`.

    Returns the map (z, y, x) in its unit and its affine (4 x 4): voxel indices (x, y, z) to LPS
    in mm; z counts along row x column. Of several echoes it is the first.
    Raises QsmError for a folder that is not one whole series.
    """
    try:
        slices = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    except InvalidDicomError as error:
        raise QsmError(f"a file of {folder} is no DICOM file") from error
    if not slices:
        raise QsmError(f"no .dcm file in {folder}; name the folder of one series")
    if not all("RealWorldValueMappingSequence" in s for s in slices):
        raise QsmError(f"{folder} is no series of gadgetron-qsm: it has no real world values")
    if len({s.SeriesInstanceUID for s in slices}) > 1:
        raise QsmError(f"{folder} holds files of several series; name the folder of one series")
    slices.sort(key=lambda s: int(s.InstanceNumber))
    first_echo = slices[0].get("EchoNumbers")
    slices = [s for s in slices if s.get("EchoNumbers") == first_echo]
    return np.stack([_values(s) for s in slices]), _affine(slices, folder)


def _values(dataset: pydicom.Dataset) -> NDArray[np.float32]:
    mapping = dataset.RealWorldValueMappingSequence[0]
    values = dataset.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    return values.astype(np.float32)


def _affine(slices: Sequence[pydicom.Dataset], folder: Path) -> NDArray[np.float64]:
    first = slices[0]
    row, column = np.reshape(np.array(first.ImageOrientationPatient, dtype=np.float64), (2, 3))
    dy, dx = (float(spacing) for spacing in first.PixelSpacing)
    affine = np.eye(4)
    step = np.cross(row, column) * float(first.SpacingBetweenSlices)
    affine[:3, :3] = np.stack([row * dx, column * dy, step], axis=1)
    affine[:3, 3] = first.ImagePositionPatient
    for index, dataset in enumerate(slices):
        expected = affine[:3, 3] + index * step
        if np.abs(expected - dataset.ImagePositionPatient).max() > POSITION_TOLERANCE_MM:
            raise QsmError(f"a slice before number {dataset.InstanceNumber} of {folder} is missing")
    return affine
