"""A head that does not lie still: lines of k-space of one that lies elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.pattern import encoded_lines
from gadgetron_qsm.phantom.protocol import Movement
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import Scan
from gadgetron_qsm.phantom.shots import Shots


def line_phases(scan: Scan, grid: Grid, shots: Shots) -> NDArray[np.complex64]:
    """Factors (shot,) that shift the head to where it is when each line is read.

    All echoes of a line are read at one place. Coils and fields move along, as whatever is
    linear in k does; what turning the head would do is not in it.
    """
    part = _course(scan.movement, np.arange(len(shots)) * scan.tr_s)
    nz, ny = encoded_lines(scan.sampling, grid.matrix)
    turns = np.zeros(len(shots))
    along = (("plane", nz), ("line", ny))
    for (counter, n), size, shift in zip(
        along, scan.voxel_size_mm, scan.movement.shift_mm, strict=False
    ):
        if shift:
            turns += (shots[counter] - n // 2) * shift / (n * size)
    return np.exp(-2j * np.pi * turns * part).astype(np.complex64)


def _course(movement: Movement, time_s: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far along the head is at each time, in parts of the shift."""
    if movement.period_s is None:
        return (time_s >= time_s[-1] / 2).astype(float)
    return np.sin(2 * np.pi * time_s / movement.period_s)
