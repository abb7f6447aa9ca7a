"""Regions around the peaks of a map: each as far as half of its own peak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

CORNERS = np.ones((3, 3, 3), bool)  # a voxel is connected with all 26 around it
Box = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Peak:
    """A peak's voxel (z, y, x) and value, and its region: where (z, y, x) bool, in a box."""

    at: tuple[int, ...]
    value: float
    box: Box
    region: NDArray[np.bool_]


def peaks(strength: NDArray[np.float32], floor: float) -> list[Peak]:
    """Return the peaks above `floor`, the highest first, each with its region.

    strength (z, y, x), any unit. A region is what is connected with the peak and more than half as
    high, so that a strong source next to a weaker one, a vein or a nucleus, stands apart from it.
    What touches a region belongs to no lower peak: it is that one's flank.
    """
    pieces, _ = scipy.ndimage.label(strength > floor / 2, CORNERS)
    found: list[Peak] = []
    for number, box in enumerate(scipy.ndimage.find_objects(pieces), start=1):
        left = np.where(pieces[box] == number, strength[box], 0)
        found.extend(_of_piece(left, floor, box))
    return sorted(found, key=lambda peak: -peak.value)


def _of_piece(left: NDArray[np.float32], floor: float, box: Box) -> Iterator[Peak]:
    while (value := float(left.max())) > floor:
        at = np.unravel_index(int(left.argmax()), left.shape)
        parts, _ = scipy.ndimage.label(left > value / 2, CORNERS)
        region = parts == parts[at]
        yield Peak(
            tuple(int(a) + s.start for a, s in zip(at, box, strict=True)), value, box, region
        )
        left = np.where(scipy.ndimage.binary_dilation(region, CORNERS), 0, left)


def cropped(
    peak: Peak, shape: Sequence[int], margin: Sequence[int]
) -> tuple[Box, NDArray[np.bool_]]:
    """Return a box around the region with a margin of voxels, in the grid, and the region in it."""
    (inner,) = scipy.ndimage.find_objects(peak.region.astype(np.uint8))
    box = tuple(
        slice(max(whole.start + part.start - m, 0), min(whole.start + part.stop + m, n))
        for whole, part, m, n in zip(peak.box, inner, margin, shape, strict=True)
    )
    region = np.zeros([s.stop - s.start for s in box], bool)
    to = tuple(
        slice(w.start + p.start - b.start, w.start + p.stop - b.start)
        for w, p, b in zip(peak.box, inner, box, strict=True)
    )
    region[to] = peak.region[inner]
    return box, region
