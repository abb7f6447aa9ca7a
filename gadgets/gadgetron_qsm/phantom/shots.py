"""The course of a scan: shots, each of which reads a line in all echoes, and what lies between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.pattern import Pattern, encoded_lines, radius, sampling_pattern
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import Scan
from gadgetron_qsm.phantom.slices import slots

COUNTERS, MARKS = ("plane", "line", "average", "repetition"), ("calibration", "lattice", "before")
SHOT = np.dtype([*((name, np.int32) for name in COUNTERS), *((name, np.bool_) for name in MARKS)])

Shots = NDArray[np.void]


@dataclass(frozen=True)
class Course:
    """What is read, in the order of acquisition.

    shots (shot,) of SHOT: plane is kz, or the place of a slice; line is ky; calibration: for
    parallel imaging; lattice: for the image, whether calibration needs it or not; before: of the
    separate calibration. rows (shot,): number of each one's first readout, the echoes follow.
    extra_rows: readouts of other kinds, right before shots `extra_shots`. Noise comes first.
    """

    noise: int
    shots: Shots
    rows: NDArray[np.intp]
    extra_rows: NDArray[np.intp]
    extra_shots: NDArray[np.intp]
    readouts: int


def plan_course(scan: Scan, grid: Grid) -> Course:
    """Lay out a scan on its grid."""
    noise, echoes = noise_lines(scan), len(scan.echo_times_s)
    shots = plan_shots(scan, grid)
    number = np.arange(len(shots))
    extra_shots = number[:: scan.extras.every] if scan.extras.kinds else number[:0]
    rows = noise + number * echoes + np.searchsorted(extra_shots, number, side="right")
    total = noise + len(shots) * echoes + len(extra_shots)
    return Course(noise, shots, rows, rows[extra_shots] - 1, extra_shots, total)


def noise_lines(scan: Scan) -> int:
    """Number of noise readouts; a scan without noise has none."""
    return scan.noise_lines if np.isfinite(scan.snr) else 0


def plan_shots(scan: Scan, grid: Grid) -> Shots:
    """Put the shots in order: separate calibration, then repetitions, averages, lines, slices."""
    rng = np.random.default_rng([scan.seed, 4])
    nz, ny = encoded_lines(scan.sampling, grid.matrix)
    places = np.arange(1)
    if scan.slices:
        places, nz = slots(scan.slices, grid.matrix[0]), 1
    pattern = sampling_pattern(scan.sampling, (nz, ny), rng)
    imaging = _image_shots(scan, pattern, places, rng)
    if scan.sampling.calibration != "separate":
        return imaging
    block = _each_slice(np.argwhere(pattern.calibration), places)
    block["calibration"] = block["before"] = True
    return np.concatenate([block, imaging])


def _image_shots(
    scan: Scan, pattern: Pattern, places: NDArray[np.intp], rng: np.random.Generator
) -> Shots:
    sampling = scan.sampling
    lines = in_order(np.argwhere(pattern.lines), sampling.order, pattern.lines.shape, rng)
    once = _each_slice(lines, places)
    once["lattice"] = np.repeat(pattern.lattice[tuple(lines.T)], len(places))
    if sampling.calibration == "embedded":
        once["calibration"] = np.repeat(pattern.calibration[tuple(lines.T)], len(places))
    shots = np.tile(once, (sampling.repetitions, sampling.averages, 1))
    shots["repetition"] = np.arange(sampling.repetitions)[:, None, None]
    shots["average"] = np.arange(sampling.averages)[:, None]
    shots = shots.ravel()
    twice = rng.choice(len(shots), min(sampling.duplicates, len(shots)), replace=False)
    return np.repeat(shots, 1 + np.bincount(twice, minlength=len(shots)))


def _each_slice(lines: NDArray[np.intp], places: NDArray[np.intp]) -> Shots:
    """Shots of lines (line, kz or 0 + ky), one for each place of a slice."""
    shots = np.zeros((len(lines), len(places)), SHOT)
    shots["plane"], shots["line"] = lines[:, :1] + places, lines[:, 1:]
    return shots.ravel()


def in_order(
    lines: NDArray[np.intp], order: str, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Sort lines (line, kz + ky), which come partition by partition."""
    if order == "partition-inner":
        return lines[np.argsort(lines[:, 1], kind="stable")]
    if order == "centre-out":
        return lines[np.argsort(radius((shape[0], shape[1]))[tuple(lines.T)], kind="stable")]
    return rng.permutation(lines) if order == "random" else lines
