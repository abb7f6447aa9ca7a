"""Mending what growing broke: single voxels are turned to where they jump least."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.field.wraps import TURN

HALF_TURN = np.float32(np.pi)
LESS = np.float32(1 - 1e-5)  # of the jumps, for a turn to be worth it: more than rounding
NOTHING = np.float32(0)


def relax(phase: Array, weight: Array, sweeps: int) -> int:
    """Turn single voxels that jump by more than half a turn to where they jump least, in place.

    phase (z, y, x) float32, unwrapped, C-ordered; weight alike: 0 takes a voxel out, of two
    neighbours the smaller counts. A jump is what lies between neighbours. A sweep visits the
    voxels as the fields of a chessboard, those of one colour at once, which have no say in each
    other: none makes the weighted sum of jumps larger. Only who has broken edges, or whose
    neighbourhood has turned since, needs a visit. Returns how many voxels the last sweep turned.
    """
    if array_module(phase) is np:
        return int(_relaxed(phase, weight, sweeps))
    return _relaxed_together(phase, weight, sweeps)


def _relaxed_together(phase: Array, weight: Array, sweeps: int) -> int:
    """`relax` for a device: all voxels of a colour at once."""
    xp, turned = array_module(phase), 0
    due, shape = _broken(phase, weight).ravel(), phase.shape
    phase, weight = phase.ravel(), weight.ravel()
    for _ in range(sweeps):
        turned = 0
        for colour in (1, 0):
            voxel = xp.flatnonzero(due)
            z, y, x = _coordinates(voxel, shape)
            voxel = voxel[(z + y + x) % 2 == colour]
            due[voxel] = False
            sides = _sides(voxel, shape)
            turns = _turns(phase, weight, voxel, sides)
            phase[voxel] += TURN * turns
            moved = xp.flatnonzero(turns)
            for around in (voxel, *sides):
                due[around[moved]] = True
            turned += len(moved)
        if turned == 0:
            break
    return turned


def _broken(phase: Array, weight: Array) -> Array:
    """Tell which voxels have an edge over which the phase jumps by more than half a turn."""
    xp = array_module(phase)
    broken = xp.zeros(phase.shape, bool)
    for axis in range(3):
        p, w, out = (xp.moveaxis(x, axis, 0) for x in (phase, weight, broken))
        jumps = xp.abs(p[1:] - p[:-1]) > HALF_TURN
        jumps &= (w[1:] > 0) & (w[:-1] > 0)
        out[1:] |= jumps
        out[:-1] |= jumps
    return broken


def _coordinates(voxel: Array, shape: tuple[int, int, int]) -> tuple[Array, Array, Array]:
    _, rows, columns = shape
    return voxel // (rows * columns), voxel // columns % rows, voxel % columns


def _sides(voxel: Array, shape: tuple[int, int, int]) -> list[Array]:
    """Neighbours before and behind along each axis; the voxel itself where the grid ends."""
    xp = array_module(voxel)
    strides, sides = (shape[1] * shape[2], shape[2], 1), []
    for place, stride, n in zip(_coordinates(voxel, shape), strides, shape, strict=True):
        sides += [xp.where(place > 0, voxel - stride, voxel)]
        sides += [xp.where(place < n - 1, voxel + stride, voxel)]
    return sides


def _turns(phase: Array, weight: Array, voxel: Array, sides: list[Array]) -> Array:
    """Return -1, 0 or 1, whichever leaves the least jumps to the neighbours; 0 of equals."""
    xp = array_module(phase)
    own, least = phase[voxel], weight[voxel]
    less, as_is, more = xp.zeros((3, len(voxel)), xp.float32)
    for side in sides:
        both = xp.where(side == voxel, NOTHING, xp.minimum(least, weight[side]))
        away = own - phase[side]
        less += both * xp.abs(away - TURN)
        as_is += both * xp.abs(away)
        more += both * xp.abs(away + TURN)
    better = xp.minimum(less, more) < as_is * LESS
    return xp.where(better, xp.where(less < more, np.float32(-1), np.float32(1)), NOTHING)


@compiled
def _relaxed(phase, weight, sweeps):  # type: ignore[no-untyped-def]
    """`relax` for the host: voxel after voxel of those that are due, colour by colour."""
    flat = phase.ravel()
    due = np.zeros(flat.size, np.bool_)
    waiting = np.empty((2, flat.size // 2 + 1), np.int32)
    count = np.zeros(2, np.int64)
    _all_broken(phase, weight, due, waiting, count)
    turned = 0
    for _ in range(sweeps):
        turned = 0
        for colour in (1, 0):
            visits, count[colour] = count[colour], 0
            due[waiting[colour, :visits]] = False
            for i in range(visits):
                turned += _visit(phase, weight, waiting[colour, i], colour, due, waiting, count)
        if turned == 0:
            break
    return turned


@compiled
def _all_broken(phase, weight, due, waiting, count):  # type: ignore[no-untyped-def]
    """Let those wait that have an edge over which the phase jumps by more than half a turn."""
    nz, ny, nx = phase.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                for axis in range(3):
                    z1, y1, x1 = _beside(z, y, x, 2 * axis + 1)
                    if z1 == nz or y1 == ny or x1 == nx:
                        continue
                    if not min(weight[z, y, x], weight[z1, y1, x1]) > 0:
                        continue
                    if abs(phase[z1, y1, x1] - phase[z, y, x]) > HALF_TURN:
                        colour = (z + y + x) % 2
                        _wait((z * ny + y) * nx + x, colour, due, waiting, count)
                        _wait((z1 * ny + y1) * nx + x1, 1 - colour, due, waiting, count)


@compiled
def _wait(voxel, colour, due, waiting, count):  # type: ignore[no-untyped-def]
    if not due[voxel]:
        due[voxel] = True
        waiting[colour, count[colour]] = voxel
        count[colour] += 1


@compiled
def _visit(phase, weight, voxel, colour, due, waiting, count):  # type: ignore[no-untyped-def]
    """Turn a voxel if that lessens its jumps; then it and its neighbours wait for another visit."""
    nz, ny, nx = phase.shape
    z, y, x = voxel // (ny * nx), voxel // nx % ny, voxel % nx
    own, least = phase[z, y, x], weight[z, y, x]
    less, as_is, more = NOTHING, NOTHING, NOTHING
    for side in range(6):
        z1, y1, x1 = _beside(z, y, x, side)
        if min(z1, y1, x1) < 0 or z1 >= nz or y1 >= ny or x1 >= nx:
            continue
        both = min(least, weight[z1, y1, x1])
        away = own - phase[z1, y1, x1]
        less += both * abs(away - TURN)
        as_is += both * abs(away)
        more += both * abs(away + TURN)
    if not min(less, more) < as_is * LESS:
        return False
    phase[z, y, x] += -TURN if less < more else TURN
    _wait(voxel, colour, due, waiting, count)
    for side in range(6):
        z1, y1, x1 = _beside(z, y, x, side)
        if min(z1, y1, x1) >= 0 and z1 < nz and y1 < ny and x1 < nx:
            _wait((z1 * ny + y1) * nx + x1, 1 - colour, due, waiting, count)
    return True


@compiled
def _beside(z, y, x, side):  # type: ignore[no-untyped-def]
    step = 2 * (side % 2) - 1
    return z + step * (side < 2), y + step * (2 <= side < 4), x + step * (side >= 4)
