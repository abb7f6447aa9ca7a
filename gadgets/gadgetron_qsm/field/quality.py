"""How well the phase of two neighbours goes together: ROMEO's edges, and its quality map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, compiled
from gadgetron_qsm.field.edges import mean_of_edges
from gadgetron_qsm.field.wraps import TURN, wrapped

WORST, DARK, NO_EDGE = 253, 254, 255  # costs: quality 0; no signal; the grid's or the mask's end
# single precision, so that host and device agree to the last bit
PER_PI = np.float32(1 / np.pi)
NOTHING, HALF, ALL, STEPS = np.float32(0), np.float32(0.5), np.float32(1), np.float32(WORST)


def romeo_quality(phase: Array, magnitude: Array, echo_times_s: Sequence[float]) -> Array:
    """Map how far the phase of each voxel can be trusted: the mean quality of its six edges.

    phase (echo, z, y, x) in rad, wrapped or not; magnitude alike, any unit; of which the first
    two echoes are used, as in `romeo`. Returns (z, y, x) float32 from 0 (noise) to 1; edges over
    the end of the grid do not count.
    Hagberg et al. 2022, doi:10.1002/nbm.4676; Dymerska et al. 2021, doi:10.1002/mrm.28563.
    """
    xp = array_module(phase)
    costs = edge_costs(phase, magnitude, echo_times_s)
    of_axes = []
    for axis in range(3):
        ends = tuple(slice(0, -1 if axis == a else None) for a in range(3))
        of_axes.append(xp.maximum(ALL - costs[axis][ends] / STEPS, NOTHING))
    return mean_of_edges(of_axes)


def edge_costs(
    phase: Array, magnitude: Array, echo_times_s: Sequence[float], echo: int = 0
) -> Array:
    """Cost (axis, z, y, x) uint8 of the edge from each voxel to the next along z, y, x: 0 best.

    The quality is a product: coherence of the phase (small steps), of the magnitude, its
    linearity (steps before and behind are alike), and, with another echo, its growth in time.
    Of ROMEO's six weights, the two for the level of the magnitude are left out; a growth may be
    off by whole turns of the other echo; and linearity falls to 0 at a bend of pi, not of 2 rad.
    Those of a host array are compiled, ten times as fast as the plain ones, and the same.
    """
    xp = array_module(phase)
    later = echo + 1 if echo + 1 < len(phase) else max(echo - 1, 0)
    growth = np.float32(0 if later == echo else echo_times_s[later] / echo_times_s[echo])
    volumes = [
        xp.ascontiguousarray(x, dtype=xp.float32)
        for x in (phase[echo], phase[later], magnitude[echo])
    ]
    costs = xp.full((3, *phase.shape[1:]), NO_EDGE, xp.uint8)
    if xp is np:
        _fill(*volumes, growth, costs)
    else:
        for axis, of_axis in enumerate(costs):
            _fill_along(axis, volumes, growth, of_axis)
    return costs


def _fill_along(axis: int, volumes: Sequence[Array], growth: np.float32, costs: Array) -> None:
    """Costs along one axis, plain; in slices, as with axes moved a device reads across its rows.

    volumes: phase, that of the other echo, and magnitude.
    """
    phase, later, magnitude = volumes
    xp = array_module(phase)
    if phase.shape[axis] < 2:
        return
    near, far, within = (
        tuple(of_axis if a == axis else slice(None) for a in range(3))
        for of_axis in (slice(None, -1), slice(1, None), slice(1, -1))
    )
    step = wrapped(phase[far] - phase[near])
    high = xp.maximum(magnitude[far], magnitude[near])
    dark = ~(high > 0)
    ratio = xp.minimum(magnitude[far], magnitude[near]) / xp.where(dark, ALL, high)
    quality = (ALL - xp.abs(step) * PER_PI) * (ratio * ratio)
    if growth > 0:
        miss = xp.abs(wrapped(later[far] - later[near] - growth * step))
        quality *= xp.maximum(ALL - miss * (ALL / growth), NOTHING)
    bend = xp.abs(wrapped(step[far] - step[near]))
    bends = xp.zeros_like(step)
    bends[far] += bend
    bends[near] += bend
    bends[within] *= HALF  # the mean of what is before and behind
    quality *= ALL - bends * PER_PI
    costs[near] = xp.where(dark, np.float32(DARK), STEPS * (ALL - quality) + HALF).astype(xp.uint8)


@compiled
def _fill(phase, later, magnitude, growth, costs):  # type: ignore[no-untyped-def]
    """Costs along all axes, row by row, which lets the compiler take many voxels at once."""
    nz, ny, nx = phase.shape
    for z in range(nz):
        for y in range(ny):
            p, t, m = phase[z, y], later[z, y], magnitude[z, y]
            if z + 1 < nz:
                around = phase[max(z - 1, 0), y], p, phase[z + 1, y], phase[min(z + 2, nz - 1), y]
                ends = (t, later[z + 1, y]), (m, magnitude[z + 1, y])
                _fill_row(around, *ends, growth, z > 0, z + 2 < nz, costs[0, z, y])
            if y + 1 < ny:
                around = phase[z, max(y - 1, 0)], p, phase[z, y + 1], phase[z, min(y + 2, ny - 1)]
                ends = (t, later[z, y + 1]), (m, magnitude[z, y + 1])
                _fill_row(around, *ends, growth, y > 0, y + 2 < ny, costs[1, z, y])
            for first, last in ((0, min(1, nx - 1)), (1, nx - 2), (max(nx - 2, 1), nx - 1)):
                a, b = first > 0, last < nx - 1
                here, there = slice(first, last), slice(first + 1, last + 1)
                around = p[first - a : last - a], p[here], p[there], p[first + 1 + b : last + 1 + b]
                ends = (t[here], t[there]), (m[here], m[there])
                _fill_row(around, *ends, growth, a, b, costs[2, z, y, here])


@compiled
def _fill_row(phase, later, magnitude, growth, has_before, has_behind, cost):  # type: ignore[no-untyped-def]
    """Costs of the edges between two rows; of the phase also the rows before and behind them."""
    (before, near, far, behind), (t0, t1), (m0, m1) = phase, later, magnitude
    for i in range(len(cost)):
        low, high = min(m0[i], m1[i]), max(m0[i], m1[i])
        dark = not high > 0
        ratio = low / (ALL if dark else high)
        step = _wrap(far[i] - near[i])
        quality = (ALL - abs(step) * PER_PI) * (ratio * ratio)
        if growth > 0:
            miss = abs(_wrap(t1[i] - t0[i] - growth * step))
            quality *= max(ALL - miss * (ALL / growth), NOTHING)
        bend = NOTHING
        if has_before:
            bend += abs(_wrap(step - _wrap(near[i] - before[i])))
        if has_behind:
            bend += abs(_wrap(_wrap(behind[i] - far[i]) - step))
        if has_before and has_behind:
            bend *= HALF
        quality *= ALL - bend * PER_PI
        cost[i] = np.uint8(DARK) if dark else np.uint8(STEPS * (ALL - quality) + HALF)


@compiled
def _wrap(angle):  # type: ignore[no-untyped-def]
    return angle - TURN * np.rint(angle / TURN)
