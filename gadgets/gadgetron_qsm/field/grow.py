"""What ROMEO does voxel by voxel: growing along the best edges, and mending what that broke."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import compiled
from gadgetron_qsm.field.quality import NO_EDGE
from gadgetron_qsm.field.wraps import TWO_PI

ROUNDING = 1e-6


@compiled
def grow(phase, costs):  # type: ignore[no-untyped-def]
    """Unwrap phase (z, y, x) float32 in place, always along the cheapest edge to a new voxel.

    costs (axis, z, y, x) as of `edge_costs`; the queue is one stack per cost. Begins where the
    sum of a voxel's costs is least, and ends where only edges of cost NO_EDGE are left.
    """
    flat, cost = phase.ravel(), costs.reshape(3, -1)
    voxels = flat.size
    stride = np.array([phase.shape[1] * phase.shape[2], phase.shape[2], 1])
    visited = np.zeros(voxels, np.bool_)
    below = np.full(3 * voxels, -1, np.int32)  # the edge under this one in its stack
    top = np.full(NO_EDGE, -1, np.int32)
    voxel = _best(cost)
    visited[voxel] = True
    lowest = NO_EDGE
    while True:
        for axis in range(3):
            for start in (voxel - stride[axis], voxel):
                if start < 0 or cost[axis, start] == NO_EDGE:
                    continue
                if not visited[start if start != voxel else voxel + stride[axis]]:
                    edge, stack = axis * voxels + start, cost[axis, start]
                    below[edge] = top[stack]
                    top[stack] = edge
                    lowest = min(lowest, stack)
        while lowest < NO_EDGE:
            edge = top[lowest]
            if edge < 0:
                lowest += 1
                continue
            top[lowest] = below[edge]
            axis = edge // voxels
            start = edge - axis * voxels
            end = start + stride[axis]
            if not (visited[start] and visited[end]):
                break
        else:
            return
        voxel, known = (end, start) if visited[start] else (start, end)
        flat[voxel] -= TWO_PI * np.round((flat[voxel] - flat[known]) / TWO_PI)
        visited[voxel] = True


@compiled
def _best(cost):  # type: ignore[no-untyped-def]
    best, least = 0, 3 * NO_EDGE
    for voxel in range(cost.shape[1]):
        total = np.int64(cost[0, voxel]) + cost[1, voxel] + cost[2, voxel]
        if total < least:
            best, least = voxel, total
    return best


@compiled
def relax(phase, weight, sweeps):  # type: ignore[no-untyped-def]
    """Turn single voxels that jump by more than half a turn to where they jump least, in place.

    phase (z, y, x) float32, unwrapped; weight alike: 0 takes a voxel out, of two neighbours the
    smaller counts. A jump is what lies between neighbours; no sweep makes their weighted sum
    larger. Returns how many voxels the last sweep turned.
    """
    nz, ny, nx = phase.shape
    turned = 0
    for _ in range(sweeps):
        turned = 0
        for z in range(nz):
            for y in range(ny):
                for x in range(nx):
                    if weight[z, y, x] > 0:
                        turn = _turn(phase, weight, z, y, x)
                        phase[z, y, x] += turn * TWO_PI
                        turned += turn != 0
        if turned == 0:
            break
    return turned


@compiled
def _turn(phase, weight, z, y, x):  # type: ignore[no-untyped-def]
    """Return -1, 0 or 1, whichever leaves the least jumps to the neighbours; 0 of equals."""
    less, as_is, more, broken = 0.0, 0.0, 0.0, False
    for side in range(6):
        step = 2 * (side % 2) - 1
        z1, y1, x1 = z + step * (side < 2), y + step * (2 <= side < 4), x + step * (side >= 4)
        if min(z1, y1, x1) < 0 or z1 >= phase.shape[0]:
            continue
        if y1 >= phase.shape[1] or x1 >= phase.shape[2]:
            continue
        both = min(weight[z, y, x], weight[z1, y1, x1])
        away = phase[z, y, x] - phase[z1, y1, x1]
        broken |= both > 0 and abs(away) > np.pi
        less += both * abs(away - TWO_PI)
        as_is += both * abs(away)
        more += both * abs(away + TWO_PI)
    if not broken or min(less, more) >= as_is * (1 - ROUNDING):
        return 0
    return -1 if less < more else 1
