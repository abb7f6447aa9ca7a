"""Magnitude weighted by susceptibility itself, which, unlike phase, ends where its source does."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gadgetron_qsm.arrays import Array, array_module


def tswi(
    magnitude: Array,
    chi: Array,
    *,
    threshold_ppm: float = 0.45,
    multiplications: int = 2,
) -> Array:
    """True susceptibility-weighted image, for veins.

    A mask of 1 where chi is 0 or less, falling to 0 at `threshold_ppm` (0.45, a vein of normal
    oxygenation at 0.44 haematocrit), multiplied `multiplications` times.
    magnitude (echo, z, y, x), combined by the root of the sum of squares; chi (z, y, x) in ppm.
    Returns (z, y, x) float32 in the unit of the magnitude.
    Raises ValueError for a threshold of 0 or less. Liu et al. 2014, "Improved MR venography using
    quantitative susceptibility-weighted imaging", doi:10.1002/jmri.24413.
    """
    return _weighted(magnitude, chi, threshold_ppm, multiplications)


def smwi(
    magnitude: Array,
    chi: Array,
    *,
    threshold_ppm: float = 1.0,
    multiplications: int = 4,
    source: Literal["paramagnetic", "diamagnetic"] = "paramagnetic",
) -> Array:
    """Susceptibility map-weighted image, for nuclei (iron), or for what is diamagnetic.

    As tSWI, with a mask that falls more slowly and is multiplied more often; `source` says which
    of the two is dark. Gho et al. 2014, doi:10.1002/mrm.24920.
    """
    sign = 1 if source == "paramagnetic" else -1
    return _weighted(magnitude, sign * chi, threshold_ppm, multiplications)


def _weighted(magnitude: Array, chi: Array, threshold_ppm: float, multiplications: int) -> Array:
    if not threshold_ppm > 0:
        raise ValueError(f"the threshold is {threshold_ppm:g} ppm; it must be above 0")
    xp = array_module(magnitude)
    light = 1 - xp.clip(chi / np.float32(threshold_ppm), 0, 1)
    combined = xp.sqrt((magnitude * magnitude).sum(axis=0))
    return (combined * light**multiplications).astype(xp.float32)
