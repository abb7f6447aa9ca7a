"""The fine grid that is simulated, the coarse one that is acquired, and the way between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom.scan import LARGEST_MATRIX, SMALLEST_MATRIX, Scan, Triple

MOST_FINE_VOXELS = 200_000_000  # about 30 bytes each
WORKERS = -1  # of scipy.fft: all processors
ROUNDING = 1e-6

Matrix = tuple[int, int, int]
Volume = NDArray[np.float32]
Signal = TypeVar("Signal", NDArray[np.float32], NDArray[np.complex64])


@dataclass(frozen=True)
class Grid:
    """Coarse voxels (z, y, x) and the number of fine ones along each side of them.

    Coarse voxel n//2 and fine voxel n//2 of each axis lie at the same place, the centre.
    thickness: of the part of a voxel along z that signals; slices with gaps have less than 1.
    """

    matrix: Matrix
    factor: Matrix
    voxel_size: Triple
    thickness: float = 1.0

    @property
    def fine_matrix(self) -> Matrix:
        """Number of fine voxels (z, y, x)."""
        z, y, x = (n * m for n, m in zip(self.matrix, self.factor, strict=True))
        return z, y, x

    @property
    def fine_voxel_size(self) -> Triple:
        """Size of a fine voxel (z, y, x) in mm."""
        z, y, x = (size / m for size, m in zip(self.voxel_size, self.factor, strict=True))
        return z, y, x

    @property
    def fov_mm(self) -> Triple:
        """Field of view (z, y, x) in mm."""
        z, y, x = (n * size for n, size in zip(self.matrix, self.voxel_size, strict=True))
        return z, y, x


def plan_grid(scan: Scan, fov_mm: Triple, largest_fine_mm: Triple | None = None) -> Grid:
    """Choose the grid for an object of the given extent (z, y, x).

    Fine voxels are near isotropic, and no larger than `largest_fine_mm` where that is given.
    Raises QsmError when the grid would be absurdly small or large.
    """
    voxels = scan.pitch_mm
    step = min(voxels) / scan.fine_per_voxel
    most = largest_fine_mm or (math.inf,) * 3
    fz, fy, fx = (
        math.ceil(size / min(step, limit) - ROUNDING)
        for size, limit in zip(voxels, most, strict=True)
    )
    nz, ny, nx = (
        2 * math.ceil(fov / size / 2 - ROUNDING) + scan.odd
        for fov, size in zip(fov_mm, voxels, strict=True)
    )
    thickness = scan.voxel_size_mm[0] / voxels[0]
    grid = Grid(scan.matrix or (nz, ny, nx), (fz, fy, fx), voxels, thickness)
    if not all(SMALLEST_MATRIX <= n <= LARGEST_MATRIX for n in grid.matrix):
        raise QsmError(f"voxels of {voxels} mm make a matrix of {grid.matrix}; use other sizes")
    if math.prod(grid.fine_matrix) > MOST_FINE_VOXELS:
        raise QsmError(
            f"a fine grid of {grid.fine_matrix} voxels is too large to simulate; "
            "use larger voxels, a smaller matrix, or fewer fine voxels per voxel"
        )
    return grid


def normalised_axes(matrix: Sequence[int]) -> list[Volume]:
    """Positions along z, y, x: 0 at voxel n//2, -1 at the edge of the field of view."""
    return [((np.arange(n) - n // 2) * (2 / n)).astype(np.float32) for n in matrix]


def voxel_mean(fine: NDArray[np.generic], grid: Grid) -> Volume:
    """Average a fine map (z, y, x) over boxes of the coarse voxel size around coarse centres."""
    mean = fine.astype(np.float32)
    for axis in range(3):
        mean = box_average(mean, axis, grid)
    return mean


def box_average(fine: Signal, axis: int, grid: Grid) -> Signal:
    """Average along one axis of the grid; fine voxels on the edge of a box count in part."""
    n, factor = grid.matrix[axis], grid.factor[axis]
    width = factor * (grid.thickness if axis == 0 else 1.0)
    centres = (np.arange(n) - n // 2) * factor + n * factor // 2
    reach = math.ceil((width - 1) / 2 - ROUNDING)
    shape = list(fine.shape)
    shape[axis] = n
    mean = np.zeros(shape, fine.dtype)
    for tap in range(-reach, reach + 1):
        part = fine.take(centres + tap, axis=axis, mode="wrap")
        part *= np.float32(min(1.0, width / 2 + 0.5 - abs(tap)) / width)
        mean += part
    return mean


def transform_and_crop(
    image: NDArray[np.complex64], axis: int, samples: int, length: int | None = None
) -> NDArray[np.complex64]:
    """Centred Fourier transform along an axis, of which the central `samples` are kept.

    Voxel n//2 of the image is the origin, and k = 0 is sample `samples`//2. A `length` above n
    samples k-space more densely, as a larger field of view does.
    """
    n = image.shape[axis]
    length = length or n
    k = np.arange(samples) - samples // 2
    spectrum = scipy.fft.fft(image, n=length, axis=axis, workers=WORKERS)
    ramp = np.exp(2j * math.pi * ((k * (n // 2)) % length) / length).astype(np.complex64)
    shape = [1, 1, 1]
    shape[axis] = samples
    return spectrum.take(k % length, axis=axis) * ramp.reshape(shape)
