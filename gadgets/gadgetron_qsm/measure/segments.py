"""Labels out of a DICOM Segmentation object (PS3.3 A.51), on the voxels of a scan."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.labels import LabelMap, Side, Structure
from gadgetron_qsm.measure.lattice import laid_on
from gadgetron_qsm.measure.names import parsed
from gadgetron_qsm.reference import WHOLE_BRAIN

LATERALITY: dict[str, Side] = {  # CID 244 in SNOMED CT, and the identifiers that it had before
    "7771000": "left",
    "G-A101": "left",
    "24028007": "right",
    "G-A100": "right",
}
UNREADABLE = (
    *(InvalidDicomError, OSError, AttributeError, KeyError, ValueError, IndexError, TypeError),
    RuntimeError,  # of pixels that nobody can decompress
)
PLANE_TOLERANCE = 0.05  # of the distance of the slices
WHERE = ("PixelMeasures", "PlaneOrientation", "PlanePosition", "SegmentIdentification")


def read_segments(path: Path, scan: Geometry) -> LabelMap:
    """Read the segments of an object as labels (z, y, x) on the scan's grid, 0 outside.

    Binary, fractional (from one half on) and label map objects. A segment's name is its label, its
    side that of the label or of its code of laterality. Slices without a segment may be left out.
    The whole brain, which ours have besides, is passed over: it is measured in any case.
    Raises QsmError for another object, segments that overlap, and planes on another grid.
    """
    try:
        dataset = pydicom.dcmread(path)
        if "SegmentSequence" not in dataset:
            raise QsmError(f"{path} is no DICOM segmentation: it has no segments")
        given = [_structure(segment, path) for segment in dataset.SegmentSequence]
        structures = tuple(s for s in given if s.name != WHOLE_BRAIN)
        values, geometry = _stack(dataset, {s.value for s in structures}, path)
    except FileNotFoundError as error:
        raise QsmError(f"there is no {path}") from error
    except IsADirectoryError as error:
        raise QsmError(f"{path} is a folder; name the file of the segmentation in it") from error
    except UNREADABLE as error:
        raise QsmError(f"cannot read the segmentation {path}: {error}") from error
    found = tuple(s for s in structures if s.value and (values == s.value).any())
    if len({s.label for s in found}) < len(found):
        raise QsmError(f"two segments of {path} have the same name: {[s.label for s in found]}")
    if not found:
        raise QsmError(f"no segment of {path} has a voxel")
    return LabelMap(laid_on(values, geometry, scan, str(path), part=True), found)


def _structure(segment: Dataset, path: Path) -> Structure:
    of_type = segment.SegmentedPropertyTypeCodeSequence[0]
    name, side = parsed(segment.SegmentLabel or of_type.CodeMeaning)
    coded = _laterality(segment)
    if side and coded and side != coded:
        raise QsmError(
            f"the segment '{segment.SegmentLabel}' of {path} is {coded} by its code: "
            "correct its name or its code"
        )
    return Structure(int(segment.SegmentNumber), name, side or coded)


def _laterality(segment: Dataset) -> Side | None:
    """Return the side that the codes of a segment state."""
    types = segment.SegmentedPropertyTypeCodeSequence
    regions = segment.get("AnatomicRegionSequence") or []
    codes = [
        *(c for t in types for c in t.get("SegmentedPropertyTypeModifierCodeSequence") or []),
        *(c for r in regions for c in r.get("AnatomicRegionModifierSequence") or []),
    ]
    sides = {LATERALITY[code.CodeValue] for code in codes if code.get("CodeValue") in LATERALITY}
    return sides.pop() if len(sides) == 1 else None


def _stack(
    dataset: Dataset, kept: Collection[int], path: Path
) -> tuple[NDArray[np.int32], Geometry]:
    """Return the numbers of the segments on the box that the frames fill, and where it lies."""
    frames = [(np.where(np.isin(n, list(kept)), n, 0), where) for n, where in _frames(dataset)]
    _, first = frames[0]
    cosines = np.array(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    normal = np.cross(*cosines)
    along = np.array([np.dot(where.ImagePositionPatient, normal) for _, where in frames])
    step = _distance(along, first)
    planes = (along - along.min()) / step
    if np.abs(planes - np.rint(planes)).max() > PLANE_TOLERANCE:
        raise QsmError(f"the slices of {path} are not evenly apart")
    indices = np.rint(planes).astype(int)
    rows, columns = frames[0][0].shape
    values = np.zeros((indices.max() + 1, rows, columns), np.int32)
    for index, (numbers, _) in zip(indices, frames, strict=True):
        taken = (values[index] != 0) & (numbers != 0)
        if taken.any():
            both = sorted({int(values[index][taken][0]), int(numbers[taken][0])})
            raise QsmError(f"segments {both[0]} and {both[1]} of {path} overlap; leave one out")
        values[index] += numbers
    origin = frames[int(along.argmin())][1].ImagePositionPatient
    dy, dx = (float(size) for size in first.PixelSpacing)
    return values, _geometry(values.shape, (step, dy, dx), cosines, origin)


def _frames(dataset: Dataset) -> Iterator[tuple[NDArray[np.int32], Dataset]]:
    """Give the numbers of segments (row, column) of each frame, and where it lies."""
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    half = dataset.get("MaximumFractionalValue", 1) / 2
    for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        where = Dataset()
        for name in WHERE:
            held = next((g for g in (groups, shared) if f"{name}Sequence" in g), None)
            if held is not None:
                where.update(held[f"{name}Sequence"][0])
        if dataset.SegmentationType == "LABELMAP":
            yield frame.astype(np.int32), where
        else:
            yield np.where(frame >= half, int(where.ReferencedSegmentNumber), 0), where


def _distance(along: NDArray[np.float64], where: Dataset) -> float:
    """Return how far slices are apart, mm: as stated, or the least distance that there is."""
    if "SpacingBetweenSlices" in where:
        return float(where.SpacingBetweenSlices)
    apart = np.diff(np.unique(along.round(3)))
    return float(apart.min()) if apart.size else float(where.SliceThickness)


def _geometry(
    shape: tuple[int, ...],
    voxel_size: tuple[float, float, float],
    cosines: NDArray[np.float64],
    origin: list[float],
) -> Geometry:
    axes = np.array([*cosines, np.cross(*cosines)])
    middle = np.array([n // 2 for n in shape[::-1]]) * voxel_size[::-1]
    position = np.array(origin, dtype=np.float64) + middle @ axes
    read, phase, through = (tuple(axis) for axis in axes.tolist())
    z, y, x = shape
    return Geometry((z, y, x), voxel_size, tuple(position.tolist()), read, phase, through)
