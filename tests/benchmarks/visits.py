"""Two visits of one head: iron that came into the putamen, found though the head lies elsewhere.

The labelled head at 1 mm; at the second visit its putamen is 30 ppb more on both sides, the head is
turned 8 degrees about an oblique axis and shifted by 5 mm in the scanner, whose B0 stays, so that
all fields are others. `python -m tests.benchmarks.visits` prints the changes per region.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage

from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.phantom import labels, offsets, tissue
from gadgetron_qsm.phantom.field import head_field, total_field
from gadgetron_qsm.phantom.sampling import Grid, plan_grid, voxel_mean
from gadgetron_qsm.phantom.scan import Scan

LABELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "phantom" / "labels_1mm.nii.gz"
RAISED_PPM, TURN_DEG, SHIFT_MM = 0.03, 8.0, 5.0
ROOM_MM = 32.0  # for the head that turns
SNR = 60.0  # of white matter in the first echo
LEFT = 16  # added to the labels of the left half


@dataclass(frozen=True)
class Pose:
    """How a head lies: turned about an axis (x, y, z) through the centre, then shifted, LPS."""

    axis: tuple[float, float, float] = (1.0, 0.0, 0.0)
    degrees: float = 0.0
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def matrix(self) -> np.ndarray:
        """4 x 4: where a point (LPS, mm) of the head that lies straight comes to lie."""
        turn = scipy.spatial.transform.Rotation.from_rotvec(
            np.radians(self.degrees) * np.array(self.axis) / np.linalg.norm(self.axis)
        )
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn.as_matrix(), self.shift_mm
        return matrix


def moved(seed: int) -> Pose:
    """Return a pose about an axis that is oblique, and a shift, both at random."""
    rng = np.random.default_rng([seed, 31])
    axis, shift = rng.standard_normal((2, 3))
    shift *= SHIFT_MM / np.linalg.norm(shift)
    return Pose(tuple(axis.tolist()), TURN_DEG, tuple(shift.tolist()))


class Head:
    """The head of the labels, of which scans are simulated."""

    def __init__(self, voxel_mm: float = 2.0, path: Path = LABELS) -> None:
        labelled = labels.read_labels(path)
        self.scan = Scan(voxel_size_mm=(voxel_mm,) * 3, fine_per_voxel=round(voxel_mm), snr=SNR)
        z, y, x = (size + ROOM_MM for size in labelled.fov_mm)
        self.grid: Grid = plan_grid(self.scan, (z, y, x), labelled.voxel_size)
        drawn = labels.embed(labelled, self.grid)
        putamen = np.argwhere(drawn == tissue.PUTAMEN)
        left = np.arange(drawn.shape[2]) > putamen[:, 2].mean()  # x grows to the left
        nuclei = drawn < tissue.WHITE
        self.drawn = np.where(nuclei & left, drawn + LEFT, drawn).astype(np.uint8)

    @property
    def geometry(self) -> Geometry:
        """Of the scans: axial, around the scanner's centre."""
        return Geometry(
            self.grid.matrix, self.grid.voxel_size, (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)
        )

    def lying(self, pose: Pose) -> np.ndarray:
        """Return the labels (z, y, x) at 1 mm of the head as it lies."""
        if np.array_equal(pose.matrix, np.eye(4)):
            return self.drawn
        back = np.linalg.inv(pose.matrix)[::-1, ::-1]  # (1, z, y, x)
        turn, size = back[1:, 1:], np.array(self.grid.fine_voxel_size)
        centre = np.array(self.drawn.shape) // 2
        offset = centre + back[1:, 0] / size - turn @ centre
        return scipy.ndimage.affine_transform(self.drawn, turn, offset, order=0, mode="nearest")

    def structures(self, drawn: np.ndarray) -> np.ndarray:
        """Return the labels (z, y, x) that fill most of each voxel; 0 where no nucleus does."""
        parts = self.grid.factor
        found, most = np.zeros(self.grid.matrix, np.int32), np.full(self.grid.matrix, 0.5)
        for value in np.unique(drawn[(drawn < tissue.WHITE) | (drawn > LEFT)]):
            share = voxel_mean(drawn == value, self.grid)
            found[share > most] = value
        del parts
        return found

    def echoes(self, drawn: np.ndarray, raised_ppm: float, seed: int) -> Echoes:
        """Return what a scanner sees of labels, the putamen of both sides raised."""
        scan, grid, rng = self.scan, self.grid, np.random.default_rng([seed, 32])
        kind = np.where(drawn > LEFT, drawn - LEFT, drawn)
        brain = np.isin(kind, tissue.BRAIN)
        chi = tissue.lookup(tissue.TISSUES, "chi_ppm")
        chi[tissue.PUTAMEN] += raised_ppm
        chi = chi[kind]
        b0 = (1.0, 0.0, 0.0)
        air_ppm = float(tissue.TISSUES[tissue.AIR].chi_ppm)
        fine = grid.fine_voxel_size
        field = total_field(np.where(brain, chi, 0), fine, b0)
        field += head_field(np.where(brain, 0, chi), air_ppm, fine, b0, of_boxes=True)
        frequency = field * np.float32(scan.larmor_hz * 1e-6)
        frequency += offsets.shim(frequency, brain, grid.fov_mm, rng).on(drawn.shape)
        density = tissue.lookup(tissue.TISSUES, "proton_density")[kind]
        rate = tissue.lookup(tissue.TISSUES, "r2star_hz")[kind]
        transmit = offsets.transmit_phase(rng).on(grid.matrix)
        seen = []
        for te in scan.echo_times_s:
            signal = density * np.exp(-te * rate + 2j * np.pi * te * frequency)
            mean = voxel_mean_complex(signal.astype(np.complex64), grid)
            seen.append(mean * np.exp(1j * transmit))
        data = np.stack(seen).astype(np.complex64)
        white = voxel_mean(kind == tissue.WHITE, grid) > 0.99
        sigma = np.abs(data[0][white]).mean() / scan.snr
        noise = rng.standard_normal((*data.shape, 2), np.float32) @ np.array([1, 1j], np.complex64)
        data += np.complex64(sigma) * noise
        return Echoes(data, scan.echo_times_s, scan.larmor_hz, self.geometry)


def voxel_mean_complex(fine: np.ndarray, grid: Grid) -> np.ndarray:
    """Average a complex map over voxels."""
    return voxel_mean(fine.real, grid) + 1j * voxel_mean(fine.imag, grid)
