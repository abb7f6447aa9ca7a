"""How well the phase of two neighbours goes together: ROMEO's edges, and its quality map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, compiled, to_numpy
from gadgetron_qsm.field.edges import mean_of_edges
from gadgetron_qsm.field.wraps import TWO_PI

WORST, DARK, NO_EDGE = 253, 254, 255  # costs: quality 0; no signal; the grid's or the mask's end


def romeo_quality(phase: Array, magnitude: Array, echo_times_s: Sequence[float]) -> Array:
    """Map how far the phase of each voxel can be trusted: the mean quality of its six edges.

    phase (echo, z, y, x) in rad, wrapped or not; magnitude alike, any unit; of which the first
    two echoes are used, as in `romeo`. Returns (z, y, x) float32 from 0 (noise) to 1; edges over
    the end of the grid do not count. Computed on the host.
    Hagberg et al. 2022, doi:10.1002/nbm.4676; Dymerska et al. 2021, doi:10.1002/mrm.28563.
    """
    xp = array_module(phase)
    angle = np.ascontiguousarray(to_numpy(phase), dtype=np.float32)
    signal = np.ascontiguousarray(to_numpy(magnitude), dtype=np.float32)
    costs = edge_costs(angle, signal, echo_times_s)
    of_axes = []
    for axis in range(3):
        ends = tuple(slice(0, -1 if axis == a else None) for a in range(3))
        of_axes.append(np.maximum(1 - costs[axis][ends] / np.float32(WORST), 0))
    return xp.asarray(mean_of_edges(of_axes))


def edge_costs(
    phase: NDArray[np.float32],
    magnitude: NDArray[np.float32],
    echo_times_s: Sequence[float],
    echo: int = 0,
) -> NDArray[np.uint8]:
    """Cost (axis, z, y, x) of the edge from each voxel to the next along z, y, x: 0 best.

    The quality is a product: coherence of the phase (small steps), of the magnitude, its
    linearity (steps before and behind are alike), and, with another echo, its growth in time.
    Of ROMEO's six weights, the two for the level of the magnitude are left out; a growth may be
    off by whole turns of the other echo; and linearity falls to 0 at a bend of pi, not of 2 rad.
    """
    costs = np.full((3, *phase.shape[1:]), NO_EDGE, np.uint8)
    later = echo + 1 if echo + 1 < len(phase) else max(echo - 1, 0)
    growth = 0.0 if later == echo else echo_times_s[later] / echo_times_s[echo]
    _fill(phase[echo], phase[later], magnitude[echo], growth, costs)
    return costs


@compiled
def _wrap(angle):  # type: ignore[no-untyped-def]
    return angle - TWO_PI * np.round(angle / TWO_PI)


@compiled
def _fill(phase, later, magnitude, growth, costs):  # type: ignore[no-untyped-def]
    nz, ny, nx = phase.shape
    for axis in range(3):
        dz, dy, dx = int(axis == 0), int(axis == 1), int(axis == 2)
        for z in range(nz - dz):
            for y in range(ny - dy):
                for x in range(nx - dx):
                    low, high = magnitude[z, y, x], magnitude[z + dz, y + dy, x + dx]
                    if low > high:
                        low, high = high, low
                    if not high > 0:
                        costs[axis, z, y, x] = DARK
                        continue
                    step = _wrap(phase[z + dz, y + dy, x + dx] - phase[z, y, x])
                    quality = (1 - abs(step) / np.pi) * (low / high) ** 2
                    if growth > 0:
                        step_later = later[z + dz, y + dy, x + dx] - later[z, y, x]
                        miss = abs(_wrap(step_later - growth * step))
                        quality *= max(0.0, 1 - miss / growth)
                    quality *= _linearity(phase, step, z, y, x, dz, dy, dx)
                    costs[axis, z, y, x] = np.uint8(WORST * (1 - quality) + 0.5)


@compiled
def _linearity(phase, step, z, y, x, dz, dy, dx):  # type: ignore[no-untyped-def]
    """1 for a step like those before and behind it, down to 0; those over the grid's end apart."""
    nz, ny, nx = phase.shape
    bend, steps = 0.0, 0
    if z >= dz and y >= dy and x >= dx:
        before = phase[z, y, x] - phase[z - dz, y - dy, x - dx]
        bend += abs(_wrap(step - before))
        steps += 1
    if z + 2 * dz < nz and y + 2 * dy < ny and x + 2 * dx < nx:
        behind = phase[z + 2 * dz, y + 2 * dy, x + 2 * dx] - phase[z + dz, y + dy, x + dx]
        bend += abs(_wrap(behind - step))
        steps += 1
    return 1 - bend / (max(steps, 1) * np.pi)
