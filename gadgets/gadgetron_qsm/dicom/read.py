"""A DICOM series of any of our forms back as an array in real units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from gadgetron_qsm.errors import QsmError

POSITION_TOLERANCE_MM = 0.01  # uneven slices: one is missing, or two series share the folder

FRAMES = "PerFrameFunctionalGroupsSequence"
PLACING = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence")


@dataclass(frozen=True)
class Slice:
    """Values (y, x) in their unit, and where they are: attributes of an Image Plane, mm.

    `number` counts from 1: the instance's, or the frame's of an object of many.
    """

    number: int
    values: NDArray[np.float32]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float, float]  # (z, y, x)


def read_series(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a folder of one of our series, in whichever form.

    Returns the map (z, y, x) in its unit and its affine (4 x 4): voxel indices (x, y, z) to LPS
    in mm; z counts along row x column. Of several echoes it is the first.
    Raises QsmError for a folder that is not one whole series.
    """
    try:
        objects = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    except InvalidDicomError as error:
        raise QsmError(f"a file of {folder} is no DICOM file") from error
    if not objects:
        raise QsmError(f"no .dcm file in {folder}; name the folder of one series")
    if not all("RealWorldValueMappingSequence" in groups_of(d, 0) for d in objects):
        raise QsmError(f"{folder} is no series of gadgetron-qsm: it has no real world values")
    if len({d.SeriesInstanceUID for d in objects}) > 1:
        raise QsmError(f"{folder} holds files of several series; name the folder of one series")
    objects.sort(key=lambda d: int(d.InstanceNumber))
    slices = [part for d in _first_echo(objects) for part in _slices(d)]
    return np.stack([part.values for part in slices]), _affine(slices, folder)


def _first_echo(objects: Sequence[Dataset]) -> Sequence[Dataset]:
    """Keep the objects of the first echo, of which one of many frames is a whole."""
    first = objects[0]
    if FRAMES in first:
        return [first]
    return [d for d in objects if d.get("EchoNumbers") == first.get("EchoNumbers")]


def _slices(dataset: Dataset) -> Iterator[Slice]:
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    for index, counts in enumerate(frames):
        groups = groups_of(dataset, index)
        mapping = groups.RealWorldValueMappingSequence[0]
        dy, dx = (float(size) for size in groups.PixelSpacing)
        values = counts * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
        yield Slice(
            index + 1 if FRAMES in dataset else int(dataset.InstanceNumber),
            values.astype(np.float32),
            np.array(groups.ImagePositionPatient, dtype=np.float64),
            np.reshape(np.array(groups.ImageOrientationPatient, dtype=np.float64), (2, 3)),
            (float(groups.SpacingBetweenSlices), dy, dx),
        )


def groups_of(dataset: Dataset, frame: int) -> Dataset:
    """Return what an object says of a frame: all at its top, or out of functional groups."""
    if FRAMES not in dataset:
        return dataset
    found = Dataset()
    for groups in (
        dataset.SharedFunctionalGroupsSequence[0],
        dataset[FRAMES][frame],
    ):
        if "RealWorldValueMappingSequence" in groups:
            found.RealWorldValueMappingSequence = groups.RealWorldValueMappingSequence
        for keyword in PLACING:
            if keyword in groups:
                found.update(groups[keyword].value[0])
    return found


def _affine(slices: Sequence[Slice], folder: Path) -> NDArray[np.float64]:
    first = slices[0]
    row, column = first.orientation
    dz, dy, dx = first.spacing
    affine = np.eye(4)
    step = np.cross(row, column) * dz
    affine[:3, :3] = np.stack([row * dx, column * dy, step], axis=1)
    affine[:3, 3] = first.position
    for index, part in enumerate(slices):
        expected = first.position + index * step
        if np.abs(expected - part.position).max() > POSITION_TOLERANCE_MM:
            raise QsmError(f"a slice before number {part.number} of {folder} is missing")
    return affine
