"""The protocol of a simulated scan: three-dimensional multi-echo spoiled gradient echo."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom.shapes import rotation

GAMMA_HZ_PER_T = 42.577478518e6  # proton, CODATA 2018
READOUT_OVERSAMPLING = 2
MOST_COILS = 64
SMALLEST_MATRIX, LARGEST_MATRIX = 4, 2048

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Scan:
    """What is scanned and how; the defaults are the demo. Voxels and matrices are (z, y, x).

    snr: mean white-matter signal of the first echo in the optimally combined image, over the
    standard deviation of its noise; math.inf leaves out the noise and the noise lines.
    tilt_deg turns the head in the bore about the patient's left-right axis, second_tilt_deg about
    its own anterior-posterior axis; the slab turns with the head, so B0 is oblique in the image.
    matrix: None takes what the head needs; a smaller one cuts the head off.
    fine_per_voxel: parts that the shortest side of a voxel is simulated in.
    """

    voxel_size_mm: Triple = (2.0, 2.0, 2.0)
    matrix: tuple[int, int, int] | None = None
    field_strength_t: float = 3.0
    echo_times_s: tuple[float, ...] = (0.0045, 0.0098, 0.0151, 0.0204, 0.0257)
    tr_s: float = 0.032
    flip_angle_deg: float = 12.0
    coils: int = 8
    snr: float = 60.0
    tilt_deg: float = 20.0
    second_tilt_deg: float = 0.0
    position_mm: Triple = (2.0, -14.0, 21.0)  # of the centre of the field of view, LPS
    sample_time_us: float = 8.0
    noise_lines: int = 64
    fine_per_voxel: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        _check(all(0 < size < math.inf for size in self.voxel_size_mm), "voxel sizes", "positive")
        _check(0 < self.field_strength_t < 30, "the field strength", "above 0 and below 30 T")
        _check(_increasing((0.0, *self.echo_times_s)), "echo times", "positive and increasing")
        _check(len(self.echo_times_s) > 0, "echo times", "one or more")
        _check(self.tr_s > self.echo_times_s[-1], "TR", "longer than the last echo time")
        _check(1 <= self.coils <= MOST_COILS, "the number of coils", f"1 to {MOST_COILS}")
        _check(self.snr > 0, "the SNR", "above 0")
        _check(math.isfinite(self.tilt_deg + self.second_tilt_deg), "tilts", "finite")
        _check(all(map(math.isfinite, self.position_mm)), "the position", "finite")
        _check(0 < self.sample_time_us < math.inf, "the sample time", "above 0")
        _check(self.noise_lines >= 0, "the number of noise lines", "0 or more")
        _check(self.fine_per_voxel >= 1, "fine voxels per voxel", "1 or more")
        _check(self.seed >= 0, "the seed", "0 or more")
        for n in self.matrix or ():
            limits = f"{SMALLEST_MATRIX} to {LARGEST_MATRIX}"
            _check(SMALLEST_MATRIX <= n <= LARGEST_MATRIX, "the matrix", limits)

    @property
    def larmor_hz(self) -> int:
        """Imaging frequency in whole Hz, as the header states it."""
        return round(GAMMA_HZ_PER_T * self.field_strength_t)

    @property
    def directions(self) -> NDArray[np.float64]:
        """Read, phase and slice direction as rows, in patient coordinates LPS."""
        return rotation(self.tilt_deg, self.second_tilt_deg, 0).T

    @property
    def b0_direction(self) -> Triple:
        """Unit vector of B0, the patient's z axis, along the array axes (z, y, x)."""
        x, y, z = self.directions[:, 2].tolist()
        return z, y, x


def _check(good: bool, what: str, must: str) -> None:
    if not good:
        raise QsmError(f"{what} of the simulated scan must be {must}")


def _increasing(values: tuple[float, ...]) -> bool:
    return all(a < b < math.inf for a, b in itertools.pairwise(values))
