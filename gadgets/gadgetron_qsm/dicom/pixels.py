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
SAMPLE = 1_000_000  # voxels that a window is taken from: the console waits for it
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

    def holds(self, reach: float | None) -> bool:
        """Say whether no value up to `reach`, of either sign, was clipped; None: all values count.

        Where values have both signs the counts reach as far to both sides.
        """
        if reach is None:
            return not self.clipped
        return reach < (self.highest + 0.5) * self.slope + self.intercept

    @property
    def sample(self) -> NDArray[np.float64]:
        """Stored values of about a million voxels, evenly taken, in the map's unit."""
        counts = self.counts.reshape(-1)
        return counts[:: max(1, counts.size // SAMPLE)] * self.slope + self.intercept


def quantise(data: NDArray[np.floating], step: float = 1.0) -> Counts:
    """Round a map, (z, y, x) in its unit, to signed 16-bit counts of `step` units each."""
    counts, clipped, not_finite = _counted(data, step, 0, (LOWEST, HIGHEST), np.int16)
    return Counts(counts, clipped, not_finite, float(step))


def quantise12(data: NDArray[np.floating], step: float = 1.0, reach: float | None = None) -> Counts:
    """Round a map, (z, y, x) in its unit, to counts 0 to 4095, as scanners' injectors take them.

    A count is the finest of 1, 2, 5, 10, 20 `step` that holds every value, or with `reach` those
    between -reach and reach, so that numbers stay right where they are large (bleeds, fields near
    air) and fine where only what is not valid is large; values beyond are clipped.
    A map with negative values counts 1 to 4095, 2048 being 0: the same reach to both sides, and
    count 0, with which scanners fill what lies outside an image, is no value. Without negative
    values count 0 is 0.
    """
    finite = np.isfinite(data)
    most = float(np.max(data, where=finite, initial=0))
    least = float(np.min(data, where=finite, initial=0))
    if reach is not None:
        most, least = min(most, reach), max(least, -reach)
    signed = np.rint(least / step) < 0
    zero = MIDDLE_12 if signed else 0
    times = (n for n in COARSER if np.rint(max(most, -least) / (n * step)) <= HIGHEST_12 - zero)
    slope = step * next(times, COARSER[-1])
    lowest = 1 if signed else 0
    counts, clipped, not_finite = _counted(data, slope, zero, (lowest, HIGHEST_12), np.uint16)
    return Counts(counts, clipped, not_finite, slope, -zero * slope, lowest, HIGHEST_12)


def unrounded(data: NDArray[np.floating]) -> Counts:
    """Keep a map, (z, y, x) in its unit, as float32; a count is a unit, and none is clipped.

    A map that is all float32 and finite is not copied.
    """
    finite = np.isfinite(data)
    not_finite = int(np.count_nonzero(~finite))
    counts = (np.where(finite, data, 0) if not_finite else data).astype(np.float32, copy=False)
    return Counts(counts, 0, not_finite, lowest=float(counts.min()), highest=float(counts.max()))


def bright_window(values: NDArray) -> Window:
    """Centre and width from 0 to the bright end of a magnitude, whatever its scale."""
    positive = values[values > 0]
    high = float(np.percentile(positive, BRIGHT_PERCENTILE)) if positive.size else 1.0
    return high / 2, high


def _counted(
    data: NDArray[np.floating], step: float, zero: int, limits: tuple[int, int], dtype: type
) -> tuple[NDArray[Any], int, int]:
    """Whole counts with `zero` for 0 and for what is no number; how many were clipped, were none.

    Slice by slice, because float64 of a whole volume takes four times its memory, several times.
    """
    counts: NDArray[Any] = np.empty(data.shape, dtype)
    clipped = not_finite = 0
    for z, values in enumerate(data):
        finite = np.isfinite(values)
        whole = np.rint(np.where(finite, values, 0).astype(np.float64) / step) + zero
        held = np.clip(whole, *limits)
        counts[z] = held
        clipped += int(np.count_nonzero(held != whole))
        not_finite += int(np.count_nonzero(~finite))
    return counts, clipped, not_finite
