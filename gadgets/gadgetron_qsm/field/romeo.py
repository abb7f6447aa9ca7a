"""ROMEO: unwrap phase along the most reliable edges first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, compiled, to_numpy

BINS = 256
TWO_PI = 2 * np.pi
FREE_TURNS = 3  # a centre frequency off by more than 3 / TE1 does not occur
EQUAL_AGREEMENT = 0.02  # mean cosine; less than this apart is noise
BRIGHT, BRIGHTEST = 0.2, 99  # of the magnitude at this percentile: more is signal for sure


def romeo(phase: Array, magnitude: Array, echo_times_s: Sequence[float]) -> Array:
    """Unwrap the phase of all echoes with ROMEO.

    phase (echo, z, y, x) in rad; magnitude alike, any unit.
    The first echo is unwrapped in space: from the best voxel on, always along the edge of the
    highest quality (coherence of the phase, of its growth to the second echo, of the magnitude).
    Later echoes follow in time from the echo before. The multiple of 2 pi that the first echo is
    free to take is the one that predicts the second echo best in the bright voxels, of equals, as
    of a single echo, the one that brings their median nearest to 0.
    Returns float32. The growing is sequential: device arrays visit the host and come back.
    Dymerska et al. 2021, doi:10.1002/mrm.28563.
    """
    xp = array_module(phase)
    wrapped = np.ascontiguousarray(to_numpy(phase), dtype=np.float32)
    size = np.ascontiguousarray(to_numpy(magnitude), dtype=np.float32)
    unwrapped = wrapped.copy()
    _grow(unwrapped[0], _edge_bins(wrapped, size, echo_times_s))
    unwrapped[0] -= _free_offset(unwrapped, size, echo_times_s)
    for echo in range(1, len(unwrapped)):
        growth = np.float32(echo_times_s[echo] / echo_times_s[echo - 1])
        turns = np.round((unwrapped[echo - 1] * growth - wrapped[echo]) / np.float32(TWO_PI))
        unwrapped[echo] += np.float32(TWO_PI) * turns
    return xp.asarray(unwrapped)


def free_turns(miss: complex, growth: float, nearest: float = 0) -> float:
    """Turns to take off an unwrapped phase so that it predicts a later one, `growth` times as far.

    miss: weighted mean of exp(i (later - growth * phase)), whose weights sum to 1. Of turns that
    predict equally well, the nearest to 0; those around `nearest` are tried.
    """
    turns = nearest + np.arange(-FREE_TURNS, FREE_TURNS + 1)
    agreement = (miss * np.exp(1j * TWO_PI * turns * growth)).real
    equal = turns[agreement > agreement.max() - EQUAL_AGREEMENT]
    return float(equal[np.argmin(np.abs(equal - nearest))])


def _free_offset(
    phase: NDArray[np.float32], magnitude: NDArray[np.float32], echo_times_s: Sequence[float]
) -> np.float32:
    """Multiple of 2 pi to take off the first echo, whose phase is unwrapped, the second's not."""
    bright = magnitude[0] > BRIGHT * np.percentile(magnitude[0], BRIGHTEST)
    if not bright.any():
        return np.float32(0)
    first = phase[0][bright]
    nearest = np.round(np.median(first) / TWO_PI)
    if len(phase) == 1:
        return np.float32(TWO_PI * nearest)
    growth = echo_times_s[1] / echo_times_s[0]
    weight = magnitude[0][bright]
    weight /= weight.sum(dtype=float)
    miss = (weight * np.exp(1j * (phase[1][bright] - first * growth))).sum(dtype=complex)
    return np.float32(TWO_PI * free_turns(miss, growth, nearest))


def _edge_bins(
    phase: NDArray[np.float32], magnitude: NDArray[np.float32], echo_times_s: Sequence[float]
) -> NDArray[np.uint8]:
    """Cost of the edge from each voxel to the next along (z, y, x): 0 best, 255 worst."""
    growth = echo_times_s[1] / echo_times_s[0] if len(phase) > 1 else 0.0
    bins = np.full((3, *phase.shape[1:]), BINS - 1, np.uint8)
    _fill_edge_bins(phase[0], phase[min(1, len(phase) - 1)], magnitude[0], growth, bins)
    return bins


@compiled
def _wrap(angle):  # type: ignore[no-untyped-def]
    return angle - TWO_PI * np.round(angle / TWO_PI)


@compiled
def _fill_edge_bins(first, second, magnitude, growth, bins):  # type: ignore[no-untyped-def]
    nz, ny, nx = first.shape
    for axis in range(3):
        dz, dy, dx = int(axis == 0), int(axis == 1), int(axis == 2)
        for z in range(nz - dz):
            for y in range(ny - dy):
                for x in range(nx - dx):
                    low = magnitude[z, y, x]
                    high = magnitude[z + dz, y + dy, x + dx]
                    if low > high:
                        low, high = high, low
                    if not high > 0:
                        continue
                    step = _wrap(first[z + dz, y + dy, x + dx] - first[z, y, x])
                    quality = (1 - abs(step) / np.pi) * (low / high) ** 2
                    if growth > 0:
                        later = second[z + dz, y + dy, x + dx] - second[z, y, x]
                        quality *= max(0.0, 1 - abs(_wrap(later - growth * step)) / growth)
                    bins[axis, z, y, x] = np.uint8((BINS - 2) * (1 - quality) + 0.5)


@compiled
def _grow(phase, bins):  # type: ignore[no-untyped-def]
    """Unwrap `phase` in place, edge by edge from a queue of one stack per bin."""
    flat, cost = phase.ravel(), bins.reshape(3, -1)
    voxels = flat.size
    shape = np.array(phase.shape)
    stride = np.array([shape[1] * shape[2], shape[2], 1])
    visited = np.zeros(voxels, np.bool_)
    below = np.full(3 * voxels, -1, np.int64)  # the edge under this one in its stack
    top = np.full(BINS, -1, np.int64)
    voxel = np.argmin(
        cost[0].astype(np.int64) + cost[1].astype(np.int64) + cost[2].astype(np.int64)
    )
    visited[voxel] = True
    lowest = BINS
    while True:
        for axis in range(3):
            at = (voxel // stride[axis]) % shape[axis]
            for side in range(2):
                if (side == 0 and at == 0) or (side == 1 and at == shape[axis] - 1):
                    continue
                start = voxel - stride[axis] if side == 0 else voxel
                other = start if side == 0 else voxel + stride[axis]
                if not visited[other]:
                    edge = axis * voxels + start
                    stack = cost[axis, start]
                    below[edge] = top[stack]
                    top[stack] = edge
                    lowest = min(lowest, stack)
        found = False
        while lowest < BINS and not found:
            edge = top[lowest]
            if edge < 0:
                lowest += 1
                continue
            top[lowest] = below[edge]
            start = edge % voxels
            end = start + stride[edge // voxels]
            if visited[start] and visited[end]:
                continue
            voxel, known = (end, start) if visited[start] else (start, end)
            flat[voxel] -= TWO_PI * np.round((flat[voxel] - flat[known]) / TWO_PI)
            visited[voxel] = True
            found = True
        if not found:
            return
