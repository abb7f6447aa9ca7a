"""ROMEO: unwrap phase along the most reliable edges first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, to_numpy
from gadgetron_qsm.field.grow import grow, relax
from gadgetron_qsm.field.quality import NO_EDGE, edge_costs
from gadgetron_qsm.field.wraps import TWO_PI, nearest_turn, wrapped

FREE_TURNS = 3  # a centre frequency off by more than 3 / TE1 does not occur
EQUAL_AGREEMENT = 0.02  # mean cosine; less than this apart is noise
BRIGHT, BRIGHTEST = 0.2, 99  # of the magnitude at this percentile: more is signal for sure
DIM = 0.05  # of the same: less is not worth mending
SWEEPS = 20  # of mending
COHERENT = 0.5  # mean of the phasors of what an echo misses: above, it is off as a whole
UNPREDICTED = 0.2  # part of the bright voxels off by a quarter turn, that time cannot unwrap

Phase = NDArray[np.float32]


def romeo(
    phase: Array, magnitude: Array, echo_times_s: Sequence[float], mask: Array | None = None
) -> Array:
    """Unwrap the phase of all echoes with ROMEO.

    phase (echo, z, y, x) in rad; magnitude alike, any unit; mask (z, y, x) bool: nothing outside
    has a say, and 0 is returned there.
    The first echo is unwrapped in space: from the best voxel on, always along the edge of the
    highest quality (see `romeo_quality`), after which single voxels are turned to where they jump
    least. Later echoes follow in time: they are predicted by the line through all echoes before,
    and by what the echo as a whole is off. An echo that this misses in many voxels is unwrapped
    in space, too. The multiple of 2 pi that the first echo is free to take is the one that
    predicts the second echo best in the bright voxels, of equals, as of a single echo, the one
    that brings their median nearest to 0.
    Returns float32. The growing is sequential: device arrays visit the host and come back.
    Raises ValueError for an empty mask.
    Dymerska et al. 2021, doi:10.1002/mrm.28563.
    """
    xp = array_module(phase)
    measured, signal, inside = _on_host(phase, magnitude, mask)
    bright = signal[0] > BRIGHT * np.percentile(signal[0][inside], BRIGHTEST)
    unwrapped = np.empty_like(measured)
    unwrapped[0] = _in_space(measured, signal, echo_times_s, 0, inside)
    unwrapped[0] -= _free_offset(unwrapped[0], measured, signal[0], bright, echo_times_s)
    slope, information = np.zeros((2, *inside.shape), np.float32)
    for echo in range(1, len(measured)):
        before, now = np.float32(echo_times_s[echo - 1]), np.float32(echo_times_s[echo])
        added = (signal[echo - 1] * before) ** 2
        information += added
        part = added / np.maximum(information, np.finfo(np.float32).tiny)
        slope += part * (unwrapped[echo - 1] / before - slope)
        in_time = _towards(slope * now, measured[echo], signal[echo], bright)
        if in_time is None:
            in_space = _in_space(measured, signal, echo_times_s, echo, inside)
            unwrapped[echo] = in_space - _whole_turns((in_space - slope * now)[bright])
        else:
            unwrapped[echo] = in_time
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


def _on_host(
    phase: Array, magnitude: Array, mask: Array | None
) -> tuple[Phase, Phase, NDArray[np.bool_]]:
    """Return phase and magnitude, largest 1, 0 outside the mask, and the mask."""
    measured, signal = (np.array(to_numpy(x), np.float32, order="C") for x in (phase, magnitude))
    inside = np.ones(measured.shape[1:], bool) if mask is None else to_numpy(mask) > 0
    if not inside.any():
        raise ValueError("the mask is empty")
    measured[:, ~inside], signal[:, ~inside] = 0, 0
    signal /= max(signal.max(), np.finfo(np.float32).tiny)
    return measured, signal, inside


def _in_space(
    phase: Phase,
    magnitude: Phase,
    echo_times_s: Sequence[float],
    echo: int,
    inside: NDArray[np.bool_],
) -> Phase:
    """Return one echo unwrapped within the mask, up to a multiple of 2 pi."""
    costs = edge_costs(phase, magnitude, echo_times_s, echo)
    for axis in range(3):
        of_axis, ends = np.moveaxis(costs[axis], axis, 0), np.moveaxis(~inside, axis, 0)
        of_axis[:-1][ends[:-1] | ends[1:]] = NO_EDGE
    unwrapped = phase[echo].copy()
    grow(unwrapped, costs)
    signal = magnitude[echo]
    dim = DIM * np.percentile(signal[inside], BRIGHTEST)
    relax(unwrapped, np.where(signal > dim, signal, np.float32(0)), SWEEPS)
    return unwrapped


def _free_offset(
    first: Phase,
    measured: Phase,
    magnitude: Phase,
    bright: NDArray[np.bool_],
    echo_times_s: Sequence[float],
) -> np.float32:
    """Multiple of 2 pi to take off the first echo's unwrapped phase."""
    if not bright.any():
        return np.float32(0)
    nearest = _whole_turns(first[bright])
    if len(measured) == 1:
        return nearest
    growth = echo_times_s[1] / echo_times_s[0]
    miss = _mean_phasor(measured[1][bright] - first[bright] * growth, magnitude[bright])
    return np.float32(TWO_PI * free_turns(miss, growth, round(nearest / TWO_PI)))


def _towards(
    predicted: Phase, measured: Phase, magnitude: Phase, bright: NDArray[np.bool_]
) -> Phase | None:
    """Turn a phase to where it is predicted; None where too many bright voxels miss that.

    What all of them miss alike, as by eddy currents, stays.
    """
    as_a_whole = 0.0
    miss = (measured - predicted)[bright]
    if len(miss):
        mean = _mean_phasor(miss, magnitude[bright] ** 2)
        as_a_whole = float(np.angle(mean)) if abs(mean) > COHERENT else 0.0
        if (np.abs(wrapped(miss - as_a_whole)) > np.pi / 2).mean() > UNPREDICTED:
            return None
    return np.asarray(nearest_turn(measured, predicted + np.float32(as_a_whole)), np.float32)


def _mean_phasor(angle: Phase, weight: Phase) -> complex:
    return complex((weight / weight.sum(dtype=float) * np.exp(1j * angle)).sum(dtype=complex))


def _whole_turns(angle: Phase) -> np.float32:
    """Multiple of 2 pi nearest to the median."""
    return np.float32(TWO_PI * np.round(np.median(angle) / TWO_PI))
