"""Phase images, in radians or in the numbers that vendors store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError

LARGEST_RADIANS = 2 * np.pi * 1.001  # -pi to pi, or 0 to 2 pi, rounded somewhere

FILLED = 0.9


def phase_to_radians(volumes: Sequence[np.ndarray]) -> list[NDArray[np.float32]]:
    """Scale the phase images of one scan, all alike, to radians.

    Floating point pixels within 2 pi of 0 are radians. Otherwise the range of all tells:
    0 to 4095 is 12 bits with -pi at 0 and 0 at 2048 (Siemens), -4096 to 4095 has pi at 4096 (the
    same after Siemens' rescale slope 2 and intercept -4096). The phase of air fills such a range,
    so one that is not filled is something else. Raises QsmError for any other range.
    """
    low = min(float(volume.min()) for volume in volumes)
    high = max(float(volume.max()) for volume in volumes)
    floating = all(volume.dtype.kind == "f" for volume in volumes)
    if floating and max(-low, high) <= LARGEST_RADIANS:
        zero, pi = 0, np.pi
    elif low >= 0 and high <= 4095:
        zero, pi = 2048, 2048
    elif low >= -4096 and high <= 4095:
        zero, pi = 0, 4096
    else:
        raise QsmError(
            f"phase images range from {low:g} to {high:g}; they must be in radians, "
            "0 to 4095 or -4096 to 4095"
        )
    if pi != np.pi and high - low < FILLED * 2 * pi:
        raise QsmError(
            f"phase images range from {low:g} to {high:g}, which is neither radians nor a full "
            "range of 12 or 13 bits; send radians"
        )
    scale = np.float32(np.pi / pi)
    return [(volume.astype(np.float32) - np.float32(zero)) * scale for volume in volumes]
