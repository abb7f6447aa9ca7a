"""The receiver: reads k-space along the course of the scan, adds noise, and writes readouts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.acquire import noise
from gadgetron_qsm.phantom.movement import line_phases
from gadgetron_qsm.phantom.raw import CHUNK, RawFile
from gadgetron_qsm.phantom.readout import as_acquired, full_samples, readout_shape, with_discards
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import Scan

LOUD = 3.0  # lines of other kinds, over the largest sample of the image


class Receiver:
    """Writes a scan into its file; the covariance (channel, channel) has idle channels too."""

    def __init__(
        self, file: RawFile, scan: Scan, grid: Grid, covariance: NDArray[np.complex128]
    ) -> None:
        self._file, self._scan, self._grid = file, scan, grid
        self._all_channels = covariance
        self._covariance = covariance[np.ix_(scan.channels, scan.channels)]
        self._rng = np.random.default_rng([scan.seed, 3])
        self._other_rng = np.random.default_rng([scan.seed, 5])
        self._largest = np.float32(0)
        self._phases = line_phases(scan, grid, file.course.shots)

    def read_noise(self) -> None:
        """Read the noise lines."""
        count, samples = self._file.course.noise, full_samples(self._grid.matrix[2])
        lines = noise(self._all_channels, (count, samples), self._rng)
        self._file.write(np.arange(count), lines)

    def read_echo(self, echo: int, kspace: NDArray[np.complex64]) -> None:
        """Read k-space (coil, plane, line, sample) of one echo, as often as the course says."""
        course, readout = self._file.course, self._scan.readout
        kspace = as_acquired(readout, kspace, echo)
        block = kspace.shape[2]
        for first in range(0, len(course.shots), block):
            shots = course.shots[first : first + block]
            lines = kspace[:, shots["plane"], shots["line"]]
            lines *= self._phases[first : first + block, None]
            if self._scan.extras.kinds:
                self._largest = max(self._largest, np.abs(lines).max())
            lines += noise(self._covariance, lines.shape[1:], self._rng)
            lines = with_discards(readout, lines, self._other_rng)
            self._file.write(course.rows[first : first + block] + echo, lines)

    def read_extras(self) -> None:
        """Read the lines that are no part of the image."""
        rows = self._file.course.extra_rows
        samples = readout_shape(self._scan.readout, self._grid.matrix[2], 0).samples
        for first in range(0, len(rows), CHUNK):
            part = rows[first : first + CHUNK]
            shape = (self._scan.coils, len(part), samples, 2)
            lines = LOUD * self._largest * self._other_rng.standard_normal(shape, np.float32)
            self._file.write(part, lines.view(np.complex64)[..., 0])
