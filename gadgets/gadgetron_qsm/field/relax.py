"""Mending what growing broke: single voxels are turned to where they jump least."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.arrays.kernels import Elementwise
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
    """`relax` for a device: all voxels of a colour at once, due or not, as those that are not stay.

    A call a colour, and once a sweep the host waits for how many have turned.
    """
    xp, count = array_module(phase), 0
    turned = xp.zeros(phase.shape, bool)
    for _ in range(sweeps):
        for colour in (1, 0):
            _TURN_COLOUR(weight, weight, colour, TURN, LESS, *phase.shape, phase, turned)
        count = int(xp.count_nonzero(turned))
        if count == 0:
            break
    return count


_TURN_COLOUR = Elementwise(
    "turn_colour",
    "float32 least, raw float32 weight, int32 colour, float32 turn, float32 share, "
    "int32 nz, int32 ny, int32 nx",
    "raw float32 phase, raw bool turned",
    """
    const int at = i, x = at % nx, y = at / nx % ny, z = at / (nx * ny);
    if ((z + y + x) % 2 == colour) {
        const int steps[6] = {-nx * ny, nx * ny, -nx, nx, -1, 1};
        const bool held[6] = {z > 0, z + 1 < nz, y > 0, y + 1 < ny, x > 0, x + 1 < nx};
        const float own = phase[at];
        float less = 0.0f, as_is = 0.0f, more = 0.0f;
        for (int side = 0; side < 6; ++side) {
            if (!held[side]) continue;
            const float both = min(least, weight[at + steps[side]]);
            const float away = own - phase[at + steps[side]];
            less += both * fabsf(away - turn);
            as_is += both * fabsf(away);
            more += both * fabsf(away + turn);
        }
        turned[at] = min(less, more) < as_is * share;
        if (turned[at]) phase[at] = own + (less < more ? -turn : turn);
    }
    """,
)


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
