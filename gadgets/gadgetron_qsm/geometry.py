"""Where the voxels are in the patient, and where B0 is in the image: the one place that knows.

The half voxel. Samples of k-space are exp(-2 pi i k (r - position)), with MRD's `position` as their
origin. A centred transform puts the origin on voxel n//2, for odd and for even n, and a crop about
n//2 to m voxels leaves it on m//2. So voxel n//2 lies at `position`, and a point in the patient is
shown where it is. To put the middle of the array there, voxel (n - 1)/2, is the same for odd n and
half a voxel off along each axis for even n. Gadgetron's own DICOM writer has its first voxel at
position - FOV/2 in the plane: the same as here for even n, half a voxel off for odd n.
Images that others transformed are taken to have their origin on n//2 as well; one that was flipped
since, as its meta says, has it on n - 1 - n//2 (mrd/axes.py).

The patient's position. All coordinates are the patient's (LPS), whichever way the patient lies: HFS
to FFDL change nothing here. They tell DICOM's readers how patient and bore go together
(PatientPosition). In each of them the bore, and B0 in it, is along the patient's z axis, up to a
sign that the even dipole kernel does not see. MRD knows no position across the bore.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError

ORTHONORMAL_TOLERANCE = 1e-3  # float32 direction cosines of converters are off by up to 1e-4
FLOAT32_TOLERANCE = 1e-6  # what float32 alone leaves, which moves no voxel by 0.001 mm

DIRECTIONS = ("read_dir", "phase_dir", "slice_dir")

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Geometry:
    """A volume of voxels in the patient.

    `matrix` and `voxel_size` (mm) are in array order (z, y, x) = (slice or partition, phase,
    read); `position` (mm) and the direction cosines are in patient coordinates, LPS, as in MRD.
    Voxel n//2 of each axis is the centre of the field of view (that of a centred FFT), and
    `position` is where that voxel lies. Directions that are not quite orthogonal unit vectors
    become the nearest that are: readers of DICOM make the third one from two, and would else put
    the last slice elsewhere than its own position says.
    Raises QsmError for directions that are no frame, and for a volume without extent.
    """

    matrix: tuple[int, int, int]
    voxel_size: Vector
    position: Vector
    read_dir: Vector
    phase_dir: Vector
    slice_dir: Vector

    def __post_init__(self) -> None:
        directions = np.array([self.read_dir, self.phase_dir, self.slice_dir], dtype=np.float64)
        off = np.abs(directions @ directions.T - np.eye(3)).max()
        if not off <= ORTHONORMAL_TOLERANCE:
            raise QsmError(
                "read, phase and slice directions are not orthogonal unit vectors; "
                "the converter did not fill in the geometry"
            )
        if min(self.matrix) < 1 or not all(size > 0 for size in self.voxel_size):
            raise QsmError(f"matrix {self.matrix} with voxels of {self.voxel_size} mm is no volume")
        if off > FLOAT32_TOLERANCE:
            for name, direction in zip(DIRECTIONS, _nearest_frame(directions), strict=True):
                object.__setattr__(self, name, tuple(direction.tolist()))

    @property
    def b0_direction(self) -> Vector:
        """Unit vector of B0, the patient's z axis, along the array axes (z, y, x)."""
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


def _nearest_frame(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the orthonormal rows, of the same handedness, that lie nearest to `directions`."""
    left, _, right = np.linalg.svd(directions)
    frame: NDArray[np.float64] = left @ right
    return frame
