"""Where the voxels are in the patient, and where B0 is in the image: the one place that knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError

ORTHONORMAL_TOLERANCE = 1e-3  # float32 direction cosines of converters are off by up to 1e-4

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Geometry:
    """A volume of voxels in the patient.

    `matrix` and `voxel_size` (mm) are in array order (z, y, x) = (slice or partition, phase,
    read); `position` (mm) and the direction cosines are in patient coordinates, LPS, as in MRD.
    Voxel n//2 of each axis is the centre of the field of view (that of a centred FFT), and
    `position` is where that voxel lies.
    """

    matrix: tuple[int, int, int]
    voxel_size: Vector
    position: Vector
    read_dir: Vector
    phase_dir: Vector
    slice_dir: Vector

    def __post_init__(self) -> None:
        directions = np.array([self.read_dir, self.phase_dir, self.slice_dir], dtype=np.float64)
        if not np.abs(directions @ directions.T - np.eye(3)).max() <= ORTHONORMAL_TOLERANCE:
            raise QsmError(
                "read, phase and slice directions are not orthogonal unit vectors; "
                "the converter did not fill in the geometry"
            )
        if min(self.matrix) < 1 or not all(size > 0 for size in self.voxel_size):
            raise QsmError(f"matrix {self.matrix} with voxels of {self.voxel_size} mm is no volume")

    @property
    def b0_direction(self) -> Vector:
        """Unit vector of B0 along the array axes (z, y, x).

        The patient's z axis of LPS lies along the bore in every head-first or feet-first position.
        """
        b0 = np.array([self.slice_dir[2], self.phase_dir[2], self.read_dir[2]])
        z, y, x = (b0 / np.linalg.norm(b0)).tolist()
        return z, y, x

    @property
    def affine(self) -> NDArray[np.float64]:
        """4 x 4: homogeneous voxel indices (x, y, z) to patient coordinates LPS in mm."""
        axes = np.array([self.read_dir, self.phase_dir, self.slice_dir]).T
        affine = np.eye(4)
        affine[:3, :3] = axes * np.array(self.voxel_size[::-1])
        centre = np.array(self.matrix[::-1]) // 2
        affine[:3, 3] = np.array(self.position) - affine[:3, :3] @ centre
        return affine

    @property
    def image_orientation(self) -> tuple[float, ...]:
        """ImageOrientationPatient: cosines of increasing column, then of increasing row index."""
        return (*self.read_dir, *self.phase_dir)

    @property
    def slice_order(self) -> range:
        """Slices so that their positions advance along row x column, as DICOM numbers them.

        Backwards where (read, phase, slice) is a left-handed triple.
        """
        count = self.matrix[0]
        advances = np.dot(np.cross(self.read_dir, self.phase_dir), self.slice_dir) > 0
        return range(count) if advances else range(count - 1, -1, -1)

    def image_position(self, z: int) -> Vector:
        """ImagePositionPatient (LPS, mm): centre of the first voxel of slice `z`."""
        x, y, z = (self.affine @ np.array([0, 0, z, 1]))[:3].tolist()
        return x, y, z
