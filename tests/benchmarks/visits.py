"""Two visits of one head: iron that came into the putamen, found though the head lies elsewhere.

The labelled head at 1 mm in a scanner of 3 T whose B0 stays. At the first visit it lies by 5
degrees and 3 mm other than straight; at the second, turned by 8 degrees more about an oblique axis
and shifted by 5 mm, its putamen has 30 ppb more on both sides. Echo images with other noise, shim
and transmit phase each time go through the chain's field, mask, inversion and reference; regions
are those voxels of the first visit that a structure fills to more than half.

`python -m tests.benchmarks.visits [--voxel 2] [--seeds 0 1 2 3]`; about a minute a seed at 2 mm.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage
from scipy.spatial.transform import Rotation

from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.measure.folder import read_visit, write_visit
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.measure.visits import Interval, compare
from gadgetron_qsm.phantom import labels, offsets, scan, tissue
from gadgetron_qsm.phantom.field import head_field, total_field
from gadgetron_qsm.phantom.sampling import plan_grid, voxel_mean
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.susceptibility import Volume, quantify

LABELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "phantom" / "labels_1mm.nii.gz"
RAISED_PPB, RAISED = 30.0, "putamen"
FIRST, BETWEEN = (5.0, 3.0), (8.0, 5.0)  # degrees and mm
ROOM_MM = 32.0  # for the head that turns
SNR = 60.0  # of white matter in the first echo
LEFT = 16  # added to the labels of the left half
B0 = (1.0, 0.0, 0.0)  # (z, y, x)


def motion(degrees: float, shift_mm: float, seed: Sequence[int]) -> np.ndarray:
    """Return a rotation and a shift in random directions: 4 x 4, LPS, about the origin."""
    axis, shift = np.random.default_rng(seed).standard_normal((2, 3))
    matrix = np.eye(4)
    turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))
    matrix[:3, :3], matrix[:3, 3] = turn.as_matrix(), shift_mm * shift / np.linalg.norm(shift)
    return matrix


class Head:
    """The labelled head, and the scanner that it is put into."""

    def __init__(self, voxel_mm: float, path: Path = LABELS) -> None:
        labelled = labels.read_labels(path)
        self.protocol = scan.Scan(
            voxel_size_mm=(voxel_mm,) * 3, fine_per_voxel=round(voxel_mm), snr=SNR
        )
        z, y, x = (size + ROOM_MM for size in labelled.fov_mm)
        self.grid = plan_grid(self.protocol, (z, y, x), labelled.voxel_size)
        drawn = labels.embed(labelled, self.grid)
        middle = np.argwhere(drawn == tissue.PUTAMEN)[:, 2].mean()
        left = np.arange(drawn.shape[2]) > middle  # x grows to the left
        self.drawn = np.where((drawn < tissue.WHITE) & left, drawn + LEFT, drawn).astype(np.uint8)

    @property
    def geometry(self) -> Geometry:
        """Of the scans: axial, about the scanner's centre."""
        matrix, size = self.grid.matrix, self.grid.voxel_size
        return Geometry(matrix, size, (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))

    def lying(self, matrix: np.ndarray) -> np.ndarray:
        """Return the labels (z, y, x) at 1 mm of the head that was moved."""
        back = np.linalg.inv(matrix)
        turn, shift = back[:3, :3][::-1, ::-1], back[:3, 3][::-1]
        centre = np.array(self.drawn.shape) // 2
        offset = centre + shift / self.grid.fine_voxel_size - turn @ centre
        return scipy.ndimage.affine_transform(self.drawn, turn, offset, order=0, mode="nearest")

    def regions(self, drawn: np.ndarray) -> LabelMap:
        """Return the structures that fill more than half of a voxel."""
        found, structures = np.zeros(self.grid.matrix, np.int32), []
        for value in np.unique(drawn[(drawn < tissue.WHITE) | (drawn > LEFT)]).tolist():
            found[voxel_mean(drawn == value, self.grid) > 0.5] = value
            name = tissue.TISSUES[value % LEFT].name
            structures.append(Structure(value, name, "left" if value > LEFT else "right"))
        return LabelMap(found, tuple(structures))

    def echoes(self, drawn: np.ndarray, raised_ppb: float, seed: Sequence[int]) -> Echoes:
        """Return what the scanner sees of labels, the putamen of both sides raised."""
        protocol, grid, rng = self.protocol, self.grid, np.random.default_rng(seed)
        kind = np.where(drawn > LEFT, drawn - LEFT, drawn)
        brain = np.isin(kind, tissue.BRAIN)
        frequency = self._field(kind, brain, raised_ppb) * np.float32(protocol.larmor_hz * 1e-6)
        frequency += offsets.shim(frequency, brain, grid.fov_mm, rng).on(drawn.shape)
        density = tissue.lookup(tissue.TISSUES, "proton_density")[kind]
        rate = tissue.lookup(tissue.TISSUES, "r2star_hz")[kind]
        transmit = np.exp(1j * offsets.transmit_phase(rng).on(grid.matrix))
        data = np.empty((len(protocol.echo_times_s), *grid.matrix), np.complex64)
        for seen, te in zip(data, protocol.echo_times_s, strict=True):
            size, angle = density * np.exp(-te * rate), np.float32(2 * np.pi * te) * frequency
            seen.real = voxel_mean(size * np.cos(angle), grid)
            seen.imag = voxel_mean(size * np.sin(angle), grid)
        white = voxel_mean(kind == tissue.WHITE, grid) > 0.99
        sigma = np.float32(np.abs(data[0][white]).mean() / protocol.snr)
        noise = rng.standard_normal((2, *data.shape), np.float32)
        data = data * transmit.astype(np.complex64) + sigma * (noise[0] + 1j * noise[1])
        return Echoes(data, protocol.echo_times_s, protocol.larmor_hz, self.geometry)

    def _field(self, kind: np.ndarray, brain: np.ndarray, raised_ppb: float) -> np.ndarray:
        """Return the field (ppm) of the head."""
        chi = tissue.lookup(tissue.TISSUES, "chi_ppm")
        chi[tissue.PUTAMEN] += raised_ppb / 1000
        values, fine = chi[kind], self.grid.fine_voxel_size
        others = head_field(
            np.where(brain, 0, values), float(chi[tissue.AIR]), fine, B0, of_boxes=True
        )
        return total_field(np.where(brain, values, 0), fine, B0) + others


def measured(echoes: Echoes) -> tuple[Scan, Journal]:
    """Return the maps that the preset 'standard' makes."""
    volume = Volume(echoes, np.abs(echoes.data), Settings(), Journal())
    found = quantify(volume)
    return Scan(1000 * found.chi, volume.edges, found.mask, echoes.geometry), volume.journal


def visit(head: Head, folder: Path, number: int, matrix: np.ndarray, seed: int) -> Path:
    """Scan the head as it lies, and write the folder of the visit."""
    drawn = head.lying(matrix)
    echoes = head.echoes(drawn, RAISED_PPB if number else 0.0, (seed, 34, number))
    found, journal = measured(echoes)
    about = {
        "patient": "head",
        "acquired": f"2024-05-{number + 1:02d}T08:00:00",
        "scan": {"field_strength_t": 3.0, "echo_times_s": echoes.echo_times_s},
        "methods": journal.provenance,
        "reference": journal.quality["reference"],
    }
    write_visit(folder, found, None if number else head.regions(drawn), about)
    return folder


@dataclass(frozen=True)
class Result:
    """The comparison of two visits, and how far (mm) nuclei were laid beside where they are."""

    interval: Interval
    beside_mm: float


def run(head: Head, seed: int) -> Result:
    """Scan two visits and compare them."""
    first, between = motion(*FIRST, (seed, 33)), motion(*BETWEEN, (seed, 31))
    with tempfile.TemporaryDirectory() as folder:
        poses = (first, between @ first)
        folders = [visit(head, Path(folder) / f"{n}", n, m, seed) for n, m in enumerate(poses)]
        visits = [read_visit(path) for path in folders]
    (interval,) = compare(visits).intervals
    where = np.argwhere(visits[0].labels.values > 0)[:, ::-1]
    points = np.c_[where, np.ones(len(where))] @ visits[0].scan.geometry.affine.T
    beside = points @ (interval.rigid.matrix - between).T
    return Result(interval, float(np.linalg.norm(beside[:, :3], axis=1).max()))


def tell(results: Sequence[Result]) -> None:
    """Print a row for each region, and what matters of all."""
    print(f"{'region':24} {'truth':>6} {'changes':>32} {'detectable':>24}")
    raised, others, ratios = [], [], []
    for rows in zip(*(result.interval.changes for result in results), strict=True):
        structure = rows[0].structure
        truth = RAISED_PPB if structure.name == RAISED else 0.0
        changes = " ".join(f"{row.change_ppb:+6.1f}" for row in rows)
        detectable = " ".join(f"{row.detectable_ppb:5.1f}" for row in rows)
        print(f"{structure.label:24} {truth:6.0f} {changes:>32} {detectable:>24}")
        if truth:
            raised += [row.change_ppb - truth for row in rows]
        else:
            others += [row.changed for row in rows]
            ratios += [row.change_ppb / row.uncertainty_ppb for row in rows]
    beside = " ".join(f"{result.beside_mm:.2f}" for result in results)
    print(f"head laid on the other, largest error at the nuclei, mm: {beside}")
    span = f"{min(raised):+.1f} to {max(raised):+.1f}, mean {np.mean(raised):+.1f} ppb"
    print(f"{RAISED}: errors {span}")
    spread = np.sqrt(np.mean(np.square(ratios)))
    print(f"elsewhere: {sum(others)} of {len(others)} above what is detectable")
    print(f"changes there over their uncertainty, root mean square: {spread:.2f}")


def main() -> None:
    """Run the seeds and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxel", type=float, default=2.0, help="mm, whole")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    given = parser.parse_args()
    head = Head(given.voxel)
    tell([run(head, seed) for seed in given.seeds])


if __name__ == "__main__":
    main()
