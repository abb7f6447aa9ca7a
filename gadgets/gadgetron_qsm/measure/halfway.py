"""Two visits on one grid, half way between them, so that both are interpolated alike.

To interpolate is to blur: the bright nuclei of the visit that alone is moved onto the other's grid
would seem to fade. Half way both fade alike, and their difference is not changed. Reuter & Fischl
2011, doi:10.1016/j.neuroimage.2011.02.076.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.spatial.transform
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan

WHOLE = 0.99  # of the voxels that a value is interpolated between, where both maps hold

Matrix = NDArray[np.float64]
Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Halfway:
    """A grid half way between two scans.

    to_first and to_later (4 x 4) take its points (mm along its own axes) to points of the scans
    (LPS).
    """

    first: Scan
    later: Scan
    grid: Geometry
    to_first: Matrix
    to_later: Matrix

    @cached_property
    def chi(self) -> tuple[Values, Values]:
        """The maps (z, y, x) of the first and of the later scan, ppb."""
        return self.of_first(self.first.chi), self.of_later(self.later.chi)

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Where both maps hold (z, y, x)."""
        found: NDArray[np.bool_] = (self.of_first(self.first.mask) > WHOLE) & (
            self.of_later(self.later.mask) > WHOLE
        )
        return found

    @cached_property
    def change(self) -> Values:
        """Later less first (z, y, x), ppb, 0 where one of them does not hold."""
        first, later = self.chi
        return np.where(self.valid, later - first, np.float32(0))

    def of_first(self, data: NDArray, step_mm: NDArray | None = None) -> Values:
        """Return data of the first scan on this grid; its head is laid `step_mm` (LPS) aside."""
        step = np.eye(4)
        step[:3, 3] = 0 if step_mm is None else step_mm
        return _on(data, self.first, self.grid, step @ self.to_first)

    def of_later(self, data: NDArray) -> Values:
        """Return data of the later scan on this grid."""
        return _on(data, self.later, self.grid, self.to_later)


def halfway(first: Scan, later: Scan, matrix: Matrix) -> Halfway:
    """Return the grid half way between two scans.

    matrix (4 x 4) takes points of the head in the first scan to where they are in the later one,
    LPS in mm. The grid is as far from the voxels of the first as from those of the later scan, so
    that a shift alone is halved too, and as large as the first.
    Raises QsmError when nothing of both maps is left there.
    """
    own, other = _frame(first.geometry), _frame(later.geometry)
    other = _likest(other, matrix @ own)
    half = _half(np.linalg.inv(other) @ matrix @ own)
    voxel = np.array(first.geometry.voxel_size[::-1])
    # whole voxels from the first scan's, or that would have no share of the shift
    centre = np.round(half[:3, 3] / voxel) * voxel
    grid = Geometry(
        matrix=first.geometry.matrix,
        voxel_size=first.geometry.voxel_size,
        position=(float(centre[0]), float(centre[1]), float(centre[2])),
        read_dir=(1.0, 0.0, 0.0),
        phase_dir=(0.0, 1.0, 0.0),
        slice_dir=(0.0, 0.0, 1.0),
    )
    found = Halfway(first, later, grid, own @ np.linalg.inv(half), other @ half)
    if not found.valid.any():
        raise QsmError("the two visits have no voxel in common; is it the same part of the head?")
    return found


def _frame(geometry: Geometry) -> Matrix:
    """Return what takes mm along the axes (x, y, z) of a grid, from voxel n//2, to LPS.

    Where they are left-handed, along the slices backwards: a half of a mirroring there is not.
    """
    frame = np.eye(4)
    frame[:3, :3] = np.array([geometry.read_dir, geometry.phase_dir, geometry.slice_dir]).T
    if np.linalg.det(frame) < 0:
        frame[:3, 2] *= -1
    frame[:3, 3] = geometry.position
    return frame


def _likest(frame: Matrix, other: Matrix) -> Matrix:
    """Return the frame with its axes named so that they run as those of the other do.

    A grid whose slices were counted backwards is not one that was turned round.
    """
    turned = []
    for turn in scipy.spatial.transform.Rotation.create_group("O").as_matrix():
        named = frame.copy()
        named[:3, :3] = frame[:3, :3] @ turn
        turned.append(named)
    return max(turned, key=lambda named: float((named[:3, :3] * other[:3, :3]).sum()))


def _half(matrix: Matrix) -> Matrix:
    """Return the rotation and shift that, done twice, are those of a rigid matrix (4 x 4)."""
    turn = scipy.spatial.transform.Rotation.from_matrix(matrix[:3, :3])
    half = np.eye(4)
    half[:3, :3] = scipy.spatial.transform.Rotation.from_rotvec(turn.as_rotvec() / 2).as_matrix()
    half[:3, 3] = np.linalg.solve(np.eye(3) + half[:3, :3], matrix[:3, 3])
    return half


def _on(data: NDArray, scan: Scan, grid: Geometry, matrix: Matrix) -> Values:
    values: Values = resampled(
        data.astype(np.float32, copy=False), scan.geometry, grid, transform=matrix
    )
    return values
