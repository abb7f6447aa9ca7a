"""What is true of a simulated head, on the grid of the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.phantom.acquire import Scene
from gadgetron_qsm.phantom.sampling import Grid, Volume, voxel_mean
from gadgetron_qsm.phantom.scan import Scan

BRAIN_FRACTION = 0.5  # of a voxel, from which on it is brain


def truth_maps(
    scene: Scene, scan: Scan, field_ppm: Volume, shim_ppm: Volume
) -> dict[str, NDArray[np.generic]]:
    """Maps (z, y, x) on the grid of the scan, and what is needed to read them.

    chi_ppm, field_ppm (without shim), shim_ppm (what the shim adds), r2star (1/s at the scan's
    field): means over the brain tissue in a voxel, 0 where there is none; so no bone or air leaks
    into the edge. m0: mean over the voxel. labels: the one with the largest share. brain: half of
    the voxel or more. field_ppm is of the fine grid, shim_ppm of the coarse one.
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
        "chi_ppm": over_brain(table["chi_ppm"][labels]),
        "field_ppm": over_brain(field_ppm),
        "shim_ppm": shim_ppm,
        "m0": voxel_mean(table["proton_density"][labels], grid),
        "r2star": over_brain(table["r2star_hz"][labels]) * np.float32(rate),
        "labels": _majority(labels, grid),
        "brain": share >= BRAIN_FRACTION,
        "voxel_size": np.array(grid.voxel_size),
        "b0_direction": np.array(scan.b0_direction),
        "echo_times_s": np.array(scan.echo_times_s),
        "label_numbers": np.array(list(scene.tissues), np.uint8),
        "label_names": np.array([t.name for t in scene.tissues.values()]),
    }


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
