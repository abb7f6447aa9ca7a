"""Maps as signed 16-bit counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.dicom.kinds import Window

LOWEST, HIGHEST = -32768, 32767
BRIGHT_PERCENTILE = 99.5  # leaves out vessels and the skin next to a coil element


@dataclass(frozen=True)
class Counts:
    """A stored volume, one count a unit.

    counts (z, y, x) int16; `clipped` values lay beyond 16 bits and have the nearest count,
    `not_finite` values were no numbers and have count 0.
    """

    counts: NDArray[np.int16]
    clipped: int
    not_finite: int


def quantise(data: NDArray[np.floating]) -> Counts:
    """Round a map, (z, y, x) in its unit, to 16-bit counts of one unit each."""
    finite = np.isfinite(data)
    values = np.where(finite, data, 0).astype(np.float64)
    rounded = np.rint(values)
    return Counts(
        counts=np.clip(rounded, LOWEST, HIGHEST).astype(np.int16),
        clipped=int(np.count_nonzero((rounded < LOWEST) | (rounded > HIGHEST))),
        not_finite=int(finite.size - np.count_nonzero(finite)),
    )


def bright_window(values: NDArray) -> Window:
    """Centre and width from 0 to the bright end of a magnitude, whatever its scale."""
    positive = values[values > 0]
    high = float(np.percentile(positive, BRIGHT_PERCENTILE)) if positive.size else 1.0
    return high / 2, high
