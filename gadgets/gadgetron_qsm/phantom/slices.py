"""Two-dimensional slices: where they are, and in which order they are acquired."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.protocol import Slices
from gadgetron_qsm.phantom.sampling import Grid, box_average
from gadgetron_qsm.phantom.scan import Scan


def slots(slices: Slices, count: int) -> NDArray[np.intp]:
    """Places along the slice direction, in the order of acquisition.

    Interleaved: from place 0 for an odd number of slices and from place 1 for an even one.
    """
    places = np.arange(count)
    if slices.order == "ascending":
        return places
    first = 1 - count % 2
    return np.concatenate([places[first::2], places[1 - first :: 2]])


def slice_numbers(slices: Slices, count: int) -> NDArray[np.intp]:
    """idx.slice of the slice at each place."""
    if slices.numbered == "place":
        return np.arange(count)
    return np.argsort(slots(slices, count))


def slice_positions(scan: Scan, count: int) -> NDArray[np.float64]:
    """Centres (slice, xyz) in patient coordinates LPS; that of place n//2 is the scan's."""
    steps = (np.arange(count) - count // 2) * scan.pitch_mm[0]
    return scan.position_mm + steps[:, None] * scan.directions[2]


def sum_slices(fine: NDArray[np.complex64], grid: Grid) -> NDArray[np.complex64]:
    """Signal (slice, ...) of slices from that of fine planes (z, ...), relative to a fine plane.

    The profile is a box as thick as the slices; what dephases inside it is lost.
    """
    return box_average(fine, 0, grid) * np.float32(grid.factor[0])
