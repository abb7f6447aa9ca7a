"""The tree of `grow` found by all voxels at once, for a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.arrays.scatter import scatter_min
from gadgetron_qsm.field.quality import NO_EDGE
from gadgetron_qsm.field.wraps import TURN

NUMBER_BITS = np.uint64(32)  # of a cost with the number of its edge behind it
NUMBER = np.uint64(2**32 - 1)
NONE = np.uint64(2**64 - 1)


@dataclass
class _Pieces:
    """Pieces of the tree so far: of each voxel (flat, int32) its piece and its turns from the root.

    count: pieces, numbered from 0.
    """

    of_voxel: Array
    turns: Array
    count: int


def grown_together(phase: Array, costs: Array) -> Array:
    """Return the turns (z, y, x) int32 of `grow`, in a dozen rounds.

    In each round every piece takes the best edge that leaves it, and becomes one with the piece
    there; at first each voxel is a piece. Edges within a piece are dropped. Takes about 70 bytes
    a voxel.
    Boruvka 1926, as told by Nesetril et al. 2001, doi:10.1016/S0012-365X(00)00224-7.
    """
    xp = array_module(phase)
    flat, voxels = phase.ravel(), phase.size
    strides = (phase.shape[1] * phase.shape[2], phase.shape[2], 1)
    cost = costs.reshape(3, -1)
    pieces = _Pieces(xp.arange(voxels, dtype=xp.int32), xp.zeros(voxels, xp.int32), voxels)
    starts = [xp.flatnonzero(of_axis != NO_EDGE).astype(xp.int32) for of_axis in cost]
    while True:
        best = xp.full(pieces.count, NONE, xp.uint64)
        for axis, stride in enumerate(strides):
            starts[axis] = _offered(best, starts[axis], stride, pieces, cost[axis], axis * voxels)
        if not any(len(of_axis) for of_axis in starts):
            return _from_first(pieces).reshape(phase.shape)
        _unite(pieces, best, flat, strides)


def _offered(
    best: Array, start: Array, stride: int, pieces: _Pieces, cost: Array, first: int
) -> Array:
    """Offer the edges of one axis to the pieces at both ends; return those that join two."""
    xp = array_module(start)
    near, far = pieces.of_voxel[start], pieces.of_voxel[start + np.int32(stride)]
    apart = xp.flatnonzero(near != far)  # for which alone the host waits
    start, near, far = start[apart], near[apart], far[apart]
    del apart
    key = cost[start].astype(xp.uint64)
    key <<= NUMBER_BITS
    key |= (start + np.int32(first)).astype(xp.uint64)
    scatter_min(best, near, key)
    scatter_min(best, far, key)
    return start


def _unite(pieces: _Pieces, best: Array, phase: Array, strides: Sequence[int]) -> None:
    """Make one of the pieces that the best edges join."""
    xp = array_module(phase)
    piece = xp.arange(pieces.count, dtype=xp.int32)
    root, turns = _beyond(pieces, best, phase, strides)
    # two pieces that chose the same edge: the first is the root
    top = (root[root] == piece) & (piece < root)
    root, turns = xp.where(top, piece, root), xp.where(top, np.int32(0), turns)
    while True:
        higher = root[root]
        if bool((higher == root).all()):
            break
        turns += turns[root]
        root = higher
    number = xp.cumsum(root == piece, dtype=xp.int32)
    pieces.turns += turns[pieces.of_voxel]
    pieces.of_voxel = (number[root] - np.int32(1))[pieces.of_voxel]
    pieces.count = int(number[-1])


def _beyond(
    pieces: _Pieces, best: Array, phase: Array, strides: Sequence[int]
) -> tuple[Array, Array]:
    """Piece beyond the best edge of each, and the turns from that piece's root to its own.

    Where no edge leaves a piece, the piece itself, and 0.
    """
    xp = array_module(phase)
    piece = xp.arange(pieces.count, dtype=xp.int32)
    alone = best == NONE
    edge = xp.where(alone, np.uint64(0), best & NUMBER).astype(xp.int32)
    axis, near = edge // np.int32(phase.size), edge % np.int32(phase.size)
    far = near + xp.asarray(np.array(strides, np.int32))[axis]
    far = xp.where(alone, near, far)
    turns = xp.rint((phase[near] - phase[far]) / TURN).astype(xp.int32)
    turns += pieces.turns[near] - pieces.turns[far]
    near, far = pieces.of_voxel[near], pieces.of_voxel[far]
    turns = xp.where(far == piece, turns, -turns)
    other = xp.where(far == piece, near, far)
    return xp.where(alone, piece, other), xp.where(alone, np.int32(0), turns)


def _from_first(pieces: _Pieces) -> Array:
    """Turns of each voxel from the first of its piece."""
    xp = array_module(pieces.turns)
    voxels = len(pieces.turns)
    first = xp.full(pieces.count, voxels, xp.int32)
    scatter_min(first, pieces.of_voxel, xp.arange(voxels, dtype=xp.int32))
    return pieces.turns - pieces.turns[first][pieces.of_voxel]
