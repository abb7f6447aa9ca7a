"""Maps as whole counts: signed 16-bit, or unsigned 12-bit as scanners' own images have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.dicom.kinds import Window

LOWEST, HIGHEST = -32768, 32767
HIGHEST_12, MIDDLE_12 = 4095, 2048
COARSER = (1, 2, 5, 10, 20)  # the last reaches beyond the signed 16-bit range
BRIGHT_PERCENTILE = 99.5  # leaves out vessels and the skin next to a coil element


@dataclass(frozen=True)
class Counts:
    """A stored volume: a value, in the map's unit, is slope * count + intercept.

    counts (z, y, x) int16, uint16 or, not rounded, float32, each between `lowest` and `highest`;
    `clipped` values lay beyond these and have the nearest, `not_finite` values were no numbers
    and have the count of 0.
    """

    counts: NDArray[Any]
    clipped: int
    not_finite: int
    slope: float = 1.0
    intercept: float = 0.0
    lowest: float = LOWEST
    highest: float = HIGHEST

    @property
    def floats(self) -> bool:
        """Whether the counts are not rounded."""
        return self.counts.dtype.kind == "f"

    @property
    def bits(self) -> int:
        """How many bits the counts take."""
        return 32 if self.floats else int(self.highest - self.lowest).bit_length()

    @property
    def signed(self) -> bool:
        """Whether counts may be negative."""
        return self.lowest < 0

    @property
    def values(self) -> NDArray[np.float64]:
        """The stored values (z, y, x) in the map's unit."""
        return self.counts * self.slope + self.intercept


def quantise(data: NDArray[np.floating], step: float = 1.0) -> Counts:
    """Round a map, (z, y, x) in its unit, to signed 16-bit counts of `step` units each."""
    values, not_finite = _finite(data)
    counts, clipped = _counted(values, step, 0, LOWEST, HIGHEST)
    return Counts(counts.astype(np.int16), clipped, not_finite, float(step))


def quantise12(data: NDArray[np.floating], step: float = 1.0) -> Counts:
    """Round a map, (z, y, x) in its unit, to counts 0 to 4095, as scanners' injectors take them.

    A count is the finest of 1, 2, 5, 10, 20 `step` that holds every value, so that numbers stay
    right where they are large (bleeds, fields near air); values beyond 20 are clipped.
    A map with negative values counts 1 to 4095, 2048 being 0: the same reach to both sides, and
    count 0, with which scanners fill what lies outside an image, is no value. Without negative
    values count 0 is 0.
    """
    values, not_finite = _finite(data)
    most, least = float(values.max(initial=0)), float(values.min(initial=0))
    signed = np.rint(least / step) < 0
    zero = MIDDLE_12 if signed else 0
    times = (n for n in COARSER if np.rint(max(most, -least) / (n * step)) <= HIGHEST_12 - zero)
    slope = step * next(times, COARSER[-1])
    lowest = 1 if signed else 0
    counts, clipped = _counted(values, slope, zero, lowest, HIGHEST_12)
    return Counts(
        counts.astype(np.uint16), clipped, not_finite, slope, -zero * slope, lowest, HIGHEST_12
    )


def unrounded(data: NDArray[np.floating]) -> Counts:
    """Keep a map, (z, y, x) in its unit, as float32; a count is a unit, and none is clipped."""
    values, not_finite = _finite(data)
    counts = values.astype(np.float32)
    return Counts(counts, 0, not_finite, lowest=float(counts.min()), highest=float(counts.max()))


def bright_window(values: NDArray) -> Window:
    """Centre and width from 0 to the bright end of a magnitude, whatever its scale."""
    positive = values[values > 0]
    high = float(np.percentile(positive, BRIGHT_PERCENTILE)) if positive.size else 1.0
    return high / 2, high


def _finite(data: NDArray[np.floating]) -> tuple[NDArray[np.float64], int]:
    """Values with 0 for what is no number, and how many those were."""
    finite = np.isfinite(data)
    return np.where(finite, data, 0).astype(np.float64), int(np.count_nonzero(~finite))


def _counted(
    values: NDArray[np.float64], step: float, zero: int, lowest: int, highest: int
) -> tuple[NDArray[np.float64], int]:
    """Whole counts with `zero` for 0, and how many of them were clipped."""
    counts = np.rint(values / step) + zero
    clipped = np.count_nonzero((counts < lowest) | (counts > highest))
    return np.clip(counts, lowest, highest), int(clipped)
