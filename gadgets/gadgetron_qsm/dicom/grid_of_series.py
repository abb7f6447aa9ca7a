"""The images of any DICOM series of slices, and where they lie in the patient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from gadgetron_qsm.dicom.read import FRAMES, groups_of
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry

SAME_PLACE_MM = 0.01  # what tells a slice that is missing from the digits of decimal strings
SAME_DIRECTION = 1e-4
SHARED = "SharedFunctionalGroupsSequence"


@dataclass(frozen=True, eq=False)
class Series:
    """Images (z, y, x) float32, z along row x column; frame_of_reference is a UID, or None."""

    values: NDArray[np.float32]
    geometry: Geometry
    frame_of_reference: str | None


@dataclass(frozen=True, eq=False)
class _Slice:
    """Values (y, x), the position of their first (LPS, mm), and what says where the others are."""

    values: NDArray[np.float32]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]  # row, column
    spacing: tuple[float, float]  # y, x
    thickness: float


def read_slices(folder: Path) -> Series:
    """Read a folder with one series of slices, classic or enhanced, of any maker.

    Of several images at one place, as echoes or phases are, the first by number is taken.
    Raises QsmError for a folder without images, with several series, with slices that are not
    parallel, not stacked at right angles, or of which one is missing.
    """
    objects = _images(folder)
    if len({str(d.get("SeriesInstanceUID")) for d in objects}) > 1:
        raise QsmError(f"{folder} holds images of several series; name the folder of one")
    objects.sort(key=lambda d: int(d.get("InstanceNumber") or 0))
    try:
        found = [part for dataset in objects for part in _slices(dataset)]
    except (AttributeError, KeyError, ValueError, TypeError, NotImplementedError) as error:
        raise QsmError(
            f"{folder} has an image that lies nowhere or cannot be read: {error}"
        ) from error
    stacked = _stacked(found, folder)
    frame = objects[0].get("FrameOfReferenceUID")
    values = np.stack([part.values for part in stacked])
    return Series(values, _geometry(stacked, folder), str(frame) if frame else None)


def _images(folder: Path) -> list[Dataset]:
    if not folder.is_dir():
        raise QsmError(f"there is no folder {folder}; name the folder of a DICOM series")
    found: list[Dataset] = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            dataset = pydicom.dcmread(path)
        except InvalidDicomError:
            continue  # such as DICOMDIR's neighbours and notes
        except OSError as error:
            raise QsmError(f"cannot read {path}: {error}") from error
        if "PixelData" in dataset:
            found.append(dataset)
    if not found:
        raise QsmError(f"{folder} has no DICOM images; name the folder of one series")
    return found


def _slices(dataset: Dataset) -> Iterator[_Slice]:
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    for index, counts in enumerate(frames):
        groups = groups_of(dataset, index)
        dy, dx = (float(size) for size in groups.PixelSpacing)
        slope, intercept = _rescaling(dataset, index)
        yield _Slice(
            (counts * slope + intercept).astype(np.float32),
            np.array(groups.ImagePositionPatient, dtype=np.float64),
            np.reshape(np.array(groups.ImageOrientationPatient, dtype=np.float64), (2, 3)),
            (dy, dx),
            float(groups.get("SpacingBetweenSlices") or groups.get("SliceThickness") or 1.0),
        )


def _rescaling(dataset: Dataset, frame: int) -> tuple[float, float]:
    places: list[Any] = [dataset]
    if FRAMES in dataset:
        groups = (dataset[FRAMES][frame], dataset[SHARED][0])
        name = "PixelValueTransformationSequence"
        places = [part[name][0] for part in groups if name in part] or places
    return float(places[0].get("RescaleSlope", 1)), float(places[0].get("RescaleIntercept", 0))


def _stacked(slices: Sequence[_Slice], folder: Path) -> list[_Slice]:
    """Return one slice a place, along row x column."""
    row, column = slices[0].orientation
    normal = np.cross(row, column)
    places: dict[float, _Slice] = {}
    for part in slices:
        if np.abs(part.orientation - slices[0].orientation).max() > SAME_DIRECTION:
            raise QsmError(f"the slices of {folder} are not parallel; name another series")
        if part.values.shape != slices[0].values.shape or part.spacing != slices[0].spacing:
            raise QsmError(f"the slices of {folder} are not of one size; name another series")
        at = float(normal @ part.position)
        if all(abs(at - other) > SAME_PLACE_MM for other in places):
            places[at] = part
    return [places[at] for at in sorted(places)]


def _geometry(stacked: Sequence[_Slice], folder: Path) -> Geometry:
    first, last, count = stacked[0], stacked[-1], len(stacked)
    row, column = first.orientation
    dy, dx = first.spacing
    step = (last.position - first.position) / max(count - 1, 1)
    if count == 1:
        step = np.cross(row, column) * first.thickness
    for index, part in enumerate(stacked):
        if np.abs(first.position + index * step - part.position).max() > SAME_PLACE_MM:
            raise QsmError(f"a slice of {folder} is missing: they are not evenly spaced")
    dz = float(np.linalg.norm(step))
    if np.abs(step / dz - np.cross(row, column)).max() > SAME_DIRECTION * 10:
        raise QsmError(f"the slices of {folder} are stacked obliquely (gantry tilt); resample them")
    matrix = (count, *first.values.shape)
    centre = np.array(matrix) // 2
    position = first.position + centre[0] * step + centre[1] * dy * column + centre[2] * dx * row
    return Geometry(
        matrix=(count, first.values.shape[0], first.values.shape[1]),
        voxel_size=(dz, dy, dx),
        position=tuple(position.tolist()),
        read_dir=tuple(row.tolist()),
        phase_dir=tuple(column.tolist()),
        slice_dir=tuple((step / dz).tolist()),
    )
