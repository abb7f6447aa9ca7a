"""Phase residues: the ends of fringe lines, which no unwrapping can mend."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module


def phase_residues(image: Array, mask: Array) -> int:
    """Count the loops of 2 x 2 voxels, in all three plane orientations, that the phase winds round.

    image (z, y, x) complex; mask (z, y, x) bool, which all four voxels of a loop lie in.
    Noise makes a few, next to each other; a fringe line that ends makes a line of them.
    Goldstein et al. 1988, doi:10.1029/RS023i004p00713.
    """
    phase = array_module(image).angle(image)
    turns = [_turns(phase, axis) for axis in range(3)]
    return sum(_wound(turns, mask, *plane) for plane in combinations(range(3), 2))


def _turns(phase: Array, axis: int) -> Array:
    """Whole turns that the phase jumps by from each voxel to the next along an axis."""
    xp = array_module(phase)
    return xp.round(xp.diff(phase, axis=axis) / np.float32(2 * np.pi)).astype(xp.int8)


def _wound(turns: list[Array], mask: Array, first: int, second: int) -> int:
    """Loops in the plane of two axes round which the jumps do not cancel."""
    xp = array_module(mask)
    inside = mask[_from(first, 1)] & mask[_from(first, 0)]
    inside = inside[_from(second, 1)] & inside[_from(second, 0)]
    winding = xp.diff(turns[second], axis=first) != xp.diff(turns[first], axis=second)
    return int((winding & inside).sum())


def _from(axis: int, start: int) -> tuple[slice, ...]:
    """All voxels but the last (start 0) or the first (start 1) along an axis."""
    return (slice(None),) * axis + (slice(1, None) if start else slice(None, -1),)
