"""The protocol of a simulated scan: multi-echo spoiled gradient echo, a slab or slices."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.protocol import (
    MOST_LINES,
    Extras,
    Movement,
    Readout,
    Sampling,
    Slices,
    Triple,
    check,
)
from gadgetron_qsm.phantom.shapes import rotation

GAMMA_HZ_PER_T = 42.577478518e6  # proton, CODATA 2018
READOUT_OVERSAMPLING = 2
MOST_COILS = 64
SMALLEST_MATRIX, LARGEST_MATRIX = 4, MOST_LINES


@dataclass(frozen=True)
class Scan:
    """What is scanned and how; the defaults are the demo. Voxels and matrices are (z, y, x).

    snr: mean white-matter signal of the first echo in the optimally combined image, over the
    standard deviation of its noise; math.inf leaves out the noise and the noise lines. It is that
    of the plain scan: a sample's noise is the same however many lines are acquired or averaged.
    tilt_deg turns the head in the bore about the patient's left-right axis, second_tilt_deg about
    its own anterior-posterior axis; the slab turns with the head, so B0 is oblique in the image.
    matrix: None takes what the head needs, in even numbers or, with `odd`, one voxel more along
    each side; a smaller one cuts the head off.
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
    odd: bool = field(default=False, repr=False)
    sampling: Sampling = field(default=Sampling(), repr=False)
    readout: Readout = field(default=Readout(), repr=False)
    slices: Slices | None = field(default=None, repr=False)  # None: one slab, encoded along z
    extras: Extras = field(default=Extras(), repr=False)
    movement: Movement = field(default=Movement(), repr=False)

    def __post_init__(self) -> None:
        check(all(0 < size < math.inf for size in self.voxel_size_mm), "voxel sizes", "positive")
        check(0 < self.field_strength_t < 30, "the field strength", "above 0 and below 30 T")
        check(_increasing((0.0, *self.echo_times_s)), "echo times", "positive and increasing")
        check(len(self.echo_times_s) > 0, "echo times", "one or more")
        check(self.tr_s > self.echo_times_s[-1], "TR", "longer than the last echo time")
        check(1 <= self.coils <= MOST_COILS, "the number of coils", f"1 to {MOST_COILS}")
        check(self.snr > 0, "the SNR", "above 0")
        check(math.isfinite(self.tilt_deg + self.second_tilt_deg), "tilts", "finite")
        check(all(map(math.isfinite, self.position_mm)), "the position", "finite")
        check(0 < self.sample_time_us < math.inf, "the sample time", "above 0")
        check(self.noise_lines >= 0, "the number of noise lines", "0 or more")
        check(self.fine_per_voxel >= 1, "fine voxels per voxel", "1 or more")
        check(self.seed >= 0, "the seed", "0 or more")
        for n in self.matrix or ():
            limits = f"{SMALLEST_MATRIX} to {LARGEST_MATRIX}"
            check(SMALLEST_MATRIX <= n <= LARGEST_MATRIX, "the matrix", limits)
        if self.slices:
            along_z = (part[0] for part in _factors(self.sampling))
            flat = all(factor == 1 for factor in along_z) and self.sampling.caipi_shift == 0
            check(flat, "acceleration, oversampling and partial Fourier along z", "1 with slices")
            check(not self.movement.shift_mm[0], "the shift along z", "0 with slices")

    @property
    def larmor_hz(self) -> int:
        """Imaging frequency in whole Hz, as the header states it."""
        return round(GAMMA_HZ_PER_T * self.field_strength_t)

    @property
    def pitch_mm(self) -> Triple:
        """Distance between neighbouring voxels (z, y, x), gaps between slices included."""
        z, y, x = self.voxel_size_mm
        return z + (self.slices.gap_mm if self.slices else 0.0), y, x

    @property
    def channels(self) -> NDArray[np.intp]:
        """Numbers of the channels that see the image, among those of the noise scan."""
        idle = self.extras.idle_channels
        total = self.coils + idle
        return np.setdiff1d(np.arange(total), (2 * np.arange(idle) + 1) * total // max(2 * idle, 1))

    @property
    def variation(self) -> str:
        """What tells this scan from the plain one with the same values, in words for computers."""
        parts = (part for part in fields(self) if not part.repr)
        values = ((part, getattr(self, part.name)) for part in parts)
        return "".join(f", {part.name}={v}" for part, v in values if v != part.default)

    @property
    def directions(self) -> NDArray[np.float64]:
        """Read, phase and slice direction as rows, in patient coordinates LPS."""
        return rotation(self.tilt_deg, self.second_tilt_deg, 0).T

    @property
    def b0_direction(self) -> Triple:
        """Unit vector of B0, the patient's z axis, along the array axes (z, y, x)."""
        x, y, z = self.directions[:, 2].tolist()
        return z, y, x


def _factors(sampling: Sampling) -> tuple[tuple[float, float], ...]:
    return sampling.acceleration, sampling.oversampling, sampling.partial_fourier


def _increasing(values: tuple[float, ...]) -> bool:
    return all(a < b < math.inf for a, b in itertools.pairwise(values))
