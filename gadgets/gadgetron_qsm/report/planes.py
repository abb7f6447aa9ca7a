"""Planes through a volume as radiologists see them, whatever way it was acquired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.geometry import Geometry

LETTERS = ("RL", "AP", "FH")  # negative and positive end of x, y, z of LPS
NAMED_COSINE = 0.25  # an edge is also named after a direction within 75 degrees of it

# Patient axis (0, 1, 2 for x, y, z of LPS) and the end of it that rows or columns run to.
LEFT, BACK, FEET = (0, 1), (1, 1), (2, -1)


@dataclass(frozen=True)
class Plane:
    """An image whose rows run down and columns right.

    image (row, column); directions (2, LPS): unit vectors of increasing row, increasing column;
    spacing (row, column) in mm.
    """

    image: NDArray[np.floating]
    directions: NDArray[np.float64]
    spacing: tuple[float, float]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width."""
        rows, columns = self.image.shape
        return rows * self.spacing[0], columns * self.spacing[1]

    @property
    def edges(self) -> dict[str, str]:
        """Patient directions at the top, bottom, left and right edge."""
        down, right = self.directions
        return {
            "top": edge_letters(-down),
            "bottom": edge_letters(down),
            "left": edge_letters(-right),
            "right": edge_letters(right),
        }


def planes(
    data: NDArray[np.floating], geometry: Geometry, centre: Sequence[int]
) -> tuple[Plane, Plane, Plane]:
    """Cut a volume (z, y, x) through the voxel `centre` into axial, coronal and sagittal planes.

    Oblique volumes are cut along their own axes, each nearest to one of the patient's. Patient
    right is on the left of axial and coronal planes, anterior on top or left, head on top.
    """
    axial, coronal, sagittal = (BACK, LEFT), (FEET, LEFT), (FEET, BACK)
    return (
        _cut(data, geometry, centre, *axial),
        _cut(data, geometry, centre, *coronal),
        _cut(data, geometry, centre, *sagittal),
    )


def middle(data: NDArray) -> tuple[int, ...]:
    """Index (z, y, x) in the middle of the non-zero voxels; of the volume when all are zero."""
    filled = (data != 0) & (data == data)
    found = []
    for axis, size in enumerate(data.shape):
        places = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        found.append(int(places[0] + places[-1]) // 2 if places.size else size // 2)
    return tuple(found)


def edge_letters(direction: NDArray[np.float64]) -> str:
    """Patient directions that `direction` (LPS) points to, the nearest first: "L", "PH", ..."""
    nearest_first = np.argsort(-np.abs(direction))
    return "".join(
        LETTERS[axis][int(direction[axis] > 0)]
        for axis in nearest_first
        if abs(direction[axis]) > NAMED_COSINE
    )


def _cut(
    data: NDArray[np.floating],
    geometry: Geometry,
    centre: Sequence[int],
    down: tuple[int, int],
    right: tuple[int, int],
) -> Plane:
    cosines = np.array([geometry.slice_dir, geometry.phase_dir, geometry.read_dir])
    row_axis, row_sign = _array_axis(cosines, *down)
    column_axis, column_sign = _array_axis(cosines, *right)
    through = 3 - row_axis - column_axis
    image = np.moveaxis(data, through, 0)[centre[through]]
    image = image if row_axis < column_axis else image.T
    return Plane(
        image=image[::row_sign, ::column_sign],
        directions=np.array([row_sign * cosines[row_axis], column_sign * cosines[column_axis]]),
        spacing=(geometry.voxel_size[row_axis], geometry.voxel_size[column_axis]),
    )


def _array_axis(cosines: NDArray[np.float64], patient_axis: int, end: int) -> tuple[int, int]:
    """Array axis nearest to a patient axis, and the step (1 or -1) along it towards `end`."""

    def likeness(axes: tuple[int, ...]) -> float:
        return sum(abs(float(cosines[axis, i])) for i, axis in enumerate(axes))

    nearest = max(permutations(range(3)), key=likeness)
    axis = nearest[patient_axis]
    return axis, end if cosines[axis, patient_axis] >= 0 else -end
