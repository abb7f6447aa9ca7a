"""ROMEO's growing: a phase unwrapped along the tree of its best edges.

Who always takes the cheapest edge to a voxel that is new draws the spanning tree of least cost.
With edges of equal cost in a fixed order there is only one such tree, whatever algorithm finds it:
voxel after voxel on the host, all at once on a device. Neighbours of wrapped phase differ by the
same turns whichever is unwrapped first, so that the tree says all. Edges are numbered as
`edge_costs` stores them, (axis, z, y, x), and of equal cost the one of the lower number is better.
"""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.field.grow_together import grown_together
from gadgetron_qsm.field.quality import NO_EDGE
from gadgetron_qsm.field.wraps import TURN


def grow(phase: Array, costs: Array) -> Array:
    """Turns (z, y, x) int32 to be added to a phase, so that it steps least along the best edges.

    phase (z, y, x) float32 in rad; costs (axis, z, y, x) as of `edge_costs`. What no edge but
    those of cost NO_EDGE joins is unwrapped apart; the first voxel of each piece keeps its phase.
    """
    if array_module(phase) is not np:
        return grown_together(phase, costs)
    return _grown(phase, _by_cost(costs.ravel()))


@compiled
def _by_cost(cost):  # type: ignore[no-untyped-def]
    """Numbers of the edges, best first."""
    start = np.zeros(NO_EDGE + 2, np.int64)
    for edge in range(cost.size):
        start[cost[edge] + 1] += 1
    for c in range(NO_EDGE):
        start[c + 1] += start[c]
    order = np.empty(start[NO_EDGE], np.int32)
    for edge in range(cost.size):
        c = cost[edge]
        if c != NO_EDGE:
            order[start[c]] = edge
            start[c] += 1
    return order


@compiled
def _grown(phase, order):  # type: ignore[no-untyped-def]
    """Join the voxels along the edges, best first, wherever that joins two pieces.

    Kruskal 1956, doi:10.1090/S0002-9939-1956-0078686-7. The root of a piece is its first voxel.
    """
    flat, voxels = phase.ravel(), phase.size
    rows, columns = phase.shape[1], phase.shape[2]
    # of each voxel one nearer to the root, and the turns between them; side by side in the cache
    above = np.zeros((voxels, 2), np.int32)
    above[:, 0] = np.arange(voxels)
    pieces = voxels
    for edge in order:
        if pieces == 1:
            break
        if edge < voxels:
            a, b = edge, edge + rows * columns
        elif edge < 2 * voxels:
            a, b = edge - voxels, edge - voxels + columns
        else:
            a, b = edge - 2 * voxels, edge - 2 * voxels + 1
        if above[a, 0] == above[b, 0]:
            continue
        (root_a, turns_a), (root_b, turns_b) = _root(above, a), _root(above, b)
        if root_a == root_b:
            continue
        turns = np.int32(np.rint((flat[a] - flat[b]) / TURN)) + turns_a - turns_b
        if root_a < root_b:
            above[root_b, 0], above[root_b, 1] = root_a, turns
        else:
            above[root_a, 0], above[root_a, 1] = root_b, -turns
        pieces -= 1
    return _turns(above).reshape(phase.shape)


@compiled
def _root(above, voxel):  # type: ignore[no-untyped-def]
    """Root of a voxel's piece and the turns from there; what lies between is moved up."""
    turns = np.int32(0)
    while above[voxel, 0] != voxel:
        up = above[voxel, 0]
        if above[up, 0] != up:
            above[voxel, 1] += above[up, 1]
            above[voxel, 0] = above[up, 0]
        turns += above[voxel, 1]
        voxel = above[voxel, 0]
    return voxel, turns


@compiled
def _turns(above):  # type: ignore[no-untyped-def]
    """Turns of all voxels from their roots: those above come first, and are ready."""
    for voxel in range(len(above)):
        up = above[voxel, 0]
        if up != voxel:
            above[voxel, 1] += above[up, 1]
            above[voxel, 0] = above[up, 0]
    return above[:, 1].copy()
