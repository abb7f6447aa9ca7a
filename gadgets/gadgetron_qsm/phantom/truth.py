"""What is true of a simulated head, on the grid of the scan."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.phantom.acquire import Scene
from gadgetron_qsm.phantom.sampling import (
    Grid,
    Volume,
    box_average,
    transform_and_crop,
    voxel_mean,
)
from gadgetron_qsm.phantom.scan import Scan

BRAIN_FRACTION = 0.5  # of a voxel, from which on it is brain


def truth_maps(
    scene: Scene, scan: Scan, field_ppm: Volume, shim_ppm: Volume
) -> dict[str, NDArray[np.generic]]:
    """Maps (z, y, x) on the grid of the scan, and what is needed to read them.

    chi_ppm: as the scan resolves it, cut off in k-space like its images; means over voxels would
    be a smoother map than a perfect scan gives, and 1.1 times too flat in the nuclei at 2 mm.
    field_ppm (without shim), shim_ppm (what the shim adds), r2star (1/s at the scan's field):
    means over the brain tissue in a voxel. All are 0 where there is none, and no bone or air leaks
    into the edge. m0: mean over the voxel. labels: the one with the largest share. brain: half of
    the voxel or more. affine (4, 4): homogeneous voxel indices (x, y, z) to mm in RAS, as NIfTI has
    them. field_ppm is of the fine grid, shim_ppm of the coarse one.
    """
    grid, labels = scene.grid, scene.labels
    brain = np.isin(labels, tissue.BRAIN)
    share = voxel_mean(brain, grid)
    rate = tissue.r2star_scale(scan.field_strength_t)

    def over_brain(fine: Volume) -> Volume:
        return np.divide(
            voxel_mean(fine * brain, grid), share, out=np.zeros_like(share), where=share > 0
        )

    table = {c: tissue.lookup(scene.tissues, c) for c in ("chi_ppm", "proton_density", "r2star_hz")}
    return {
        "chi_ppm": np.where(share > 0, _resolved(table["chi_ppm"][labels], brain, grid, scan), 0),
        "field_ppm": over_brain(field_ppm),
        "shim_ppm": shim_ppm,
        "m0": voxel_mean(table["proton_density"][labels], grid),
        "r2star": over_brain(table["r2star_hz"][labels]) * np.float32(rate),
        "labels": _majority(labels, grid),
        "brain": share >= BRAIN_FRACTION,
        "voxel_size": np.array(grid.voxel_size),
        "affine": _affine(grid, scan),
        "b0_direction": np.array(scan.b0_direction),
        "echo_times_s": np.array(scan.echo_times_s),
        "label_numbers": np.array(list(scene.tissues), np.uint8),
        "label_names": np.array([t.name for t in scene.tissues.values()]),
    }


def _affine(grid: Grid, scan: Scan) -> NDArray[np.float64]:
    """Return the grid's place: voxel n//2 of each axis lies at the position of the scan."""
    axes = scan.directions.T * grid.voxel_size[::-1]
    first = scan.position_mm - axes @ (np.array(grid.matrix[::-1]) // 2)
    lps = np.vstack([np.column_stack([axes, first]), [0, 0, 0, 1]])
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def _resolved(chi: Volume, brain: NDArray[np.bool_], grid: Grid, scan: Scan) -> Volume:
    """Chi (z, y, x) of the fine grid at the scan's resolution, its mean in the brain beyond it."""
    mean = chi[brain].mean() if brain.any() else np.float32(0)
    signal = np.where(brain, chi - mean, 0).astype(np.complex64)
    axes = (1, 2) if scan.slices else (0, 1, 2)
    if scan.slices:
        signal = box_average(signal, 0, grid)
    for axis in axes:
        signal = transform_and_crop(signal, axis, grid.matrix[axis])
    image = scipy.fft.ifftn(scipy.fft.ifftshift(signal, axes), axes=axes)
    parts = math.prod(grid.factor[axis] for axis in axes)
    return scipy.fft.fftshift(image, axes).real / np.float32(parts) + mean


def _majority(labels: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    largest = np.zeros(grid.matrix, np.float32)
    winner = np.full(grid.matrix, tissue.AIR, np.uint8)
    for label in np.flatnonzero(np.bincount(labels.ravel())):
        share = voxel_mean(labels == label, grid)
        better = share > largest
        winner[better], largest[better] = label, share[better]
    return winner


def truth_path(path: Path) -> Path:
    """Where the truth of a raw file lies."""
    return path.with_name(f"{path.stem}_truth.npz")
