"""ROMEO: unwrap phase along the most reliable edges first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, slabs
from gadgetron_qsm.field.grow import grow
from gadgetron_qsm.field.quality import NO_EDGE, edge_costs
from gadgetron_qsm.field.relax import relax
from gadgetron_qsm.field.wraps import TURN, TWO_PI, nearest_turn, wrapped

FREE_TURNS = 3  # a centre frequency off by more than 3 / TE1 does not occur
EQUAL_AGREEMENT = 0.02  # mean cosine; less than this apart is noise
BRIGHT, BRIGHTEST = 0.2, 99  # of the magnitude at this percentile: more is signal for sure
DIM = 0.05  # of the same: less is not worth mending
FAINTEST = float(np.finfo(np.float32).tiny)
SWEEPS = 20  # of mending
COHERENT = 0.5  # mean of the phasors of what an echo misses: above, it is off as a whole
UNPREDICTED = 0.2  # part of the bright voxels off by a quarter turn, that time cannot unwrap


def romeo(
    phase: Array, magnitude: Array, echo_times_s: Sequence[float], mask: Array | None = None
) -> Array:
    """Unwrap the phase of all echoes with ROMEO.

    phase (echo, z, y, x) in rad; magnitude alike, any unit; mask (z, y, x) bool: nothing outside
    has a say, and 0 is returned there.
    The first echo is unwrapped in space: always along the edge of the highest quality to a voxel
    that is new (see `romeo_quality` and `grow`), after which single voxels are turned to where
    they jump least. Later echoes follow in time: they are predicted by the line through all echoes
    before, and by what the echo as a whole is off. An echo that this misses in many voxels is
    unwrapped in space, too. The multiple of 2 pi that the first echo is free to take is the one
    that predicts the second echo best in the bright voxels, of equals, as of a single echo, the
    one that brings their median nearest to 0.
    Returns float32. Pieces of the mask that do not touch are unwrapped apart, each up to turns
    of its own. A device array is grown in another way than one of the host, to the same result.
    Raises ValueError for an empty mask.
    Dymerska et al. 2021, doi:10.1002/mrm.28563.
    """
    xp = array_module(phase)
    if mask is not None and not bool(mask.any()):
        raise ValueError("the mask is empty")
    measured, signal = _within(phase, mask), _within(magnitude, mask)
    signal = signal / np.float32(max(float(signal.max()), FAINTEST))
    brightest = _brightest(signal[0], mask)
    bright = signal[0] > np.float32(BRIGHT) * brightest
    unwrapped = xp.empty_like(measured)
    unwrapped[0] = _in_space(measured, signal, brightest, echo_times_s, 0, mask)
    unwrapped[0] -= _free_offset(unwrapped[0], measured, signal[0], bright, echo_times_s)
    slope, information = xp.zeros((2, *phase.shape[1:]), xp.float32)
    for echo in range(1, len(measured)):
        _learn(slope, information, unwrapped[echo - 1], signal[echo - 1], echo_times_s[echo - 1])
        predicted = slope * np.float32(echo_times_s[echo])
        in_time = _towards(predicted, measured[echo], signal[echo], bright)
        if in_time is None:
            brightest = _brightest(signal[echo], mask)
            in_space = _in_space(measured, signal, brightest, echo_times_s, echo, mask)
            in_time = in_space - _whole_turns((in_space - predicted)[bright])
        unwrapped[echo] = in_time
    return unwrapped if mask is None else xp.where(mask > 0, unwrapped, np.float32(0))


def free_turns(miss: complex, growth: float, nearest: float = 0) -> float:
    """Turns to take off an unwrapped phase so that it predicts a later one, `growth` times as far.

    miss: weighted mean of exp(i (later - growth * phase)), whose weights sum to 1. Of turns that
    predict equally well, the nearest to 0; those around `nearest` are tried.
    """
    turns = nearest + np.arange(-FREE_TURNS, FREE_TURNS + 1)
    agreement = (miss * np.exp(1j * TWO_PI * turns * growth)).real
    equal = turns[agreement > agreement.max() - EQUAL_AGREEMENT]
    return float(equal[np.argmin(np.abs(equal - nearest))])


def _within(values: Array, mask: Array | None) -> Array:
    """Return values, float32 and C-ordered, that are 0 outside the mask."""
    xp = array_module(values)
    inside = values if mask is None else xp.where(mask > 0, values, np.float32(0))
    return xp.ascontiguousarray(inside, dtype=xp.float32)


def _brightest(magnitude: Array, mask: Array | None) -> np.float32:
    """Magnitude that hardly any voxel of the mask goes beyond."""
    seen = magnitude if mask is None else magnitude[mask > 0]
    return np.float32(float(array_module(magnitude).percentile(seen, BRIGHTEST)))


def _in_space(
    phase: Array,
    magnitude: Array,
    brightest: np.float32,
    echo_times_s: Sequence[float],
    echo: int,
    mask: Array | None,
) -> Array:
    """Return one echo, of that brightest magnitude, unwrapped up to a multiple of 2 pi."""
    xp = array_module(phase)
    costs = edge_costs(phase, magnitude, echo_times_s, echo)
    if mask is not None:
        for axis in range(3):
            of_axis, inside = xp.moveaxis(costs[axis], axis, 0), xp.moveaxis(mask > 0, axis, 0)
            of_axis[:-1][~(inside[:-1] & inside[1:])] = NO_EDGE
    unwrapped = phase[echo] + TURN * grow(phase[echo], costs).astype(xp.float32)
    signal = magnitude[echo]
    relax(unwrapped, xp.where(signal > np.float32(DIM) * brightest, signal, np.float32(0)), SWEEPS)
    return unwrapped


def _free_offset(
    first: Array,
    measured: Array,
    magnitude: Array,
    bright: Array,
    echo_times_s: Sequence[float],
) -> np.float32:
    """Multiple of 2 pi to take off the first echo's unwrapped phase."""
    seen = first[bright]
    if not len(seen):
        return np.float32(0)
    nearest = _whole_turns(seen)
    if len(measured) == 1:
        return nearest
    growth = echo_times_s[1] / echo_times_s[0]
    miss = _mean_phasor(measured[1][bright] - seen * np.float32(growth), magnitude[bright])
    return np.float32(TWO_PI * free_turns(miss, growth, round(nearest / TWO_PI)))


def _learn(slope: Array, information: Array, phase: Array, magnitude: Array, time_s: float) -> None:
    """Let an echo have a say in the slope of the line through 0, in place."""
    xp, time = array_module(slope), np.float32(time_s)
    for part in slabs(slope):
        weight = magnitude[part] * time
        weight *= weight
        information[part] += weight
        weight /= xp.maximum(information[part], np.float32(FAINTEST))
        slope[part] += weight * (phase[part] / time - slope[part])


def _towards(predicted: Array, measured: Array, magnitude: Array, bright: Array) -> Array | None:
    """Turn a phase to where it is predicted; None where too many bright voxels miss that.

    What all of them miss alike, as by eddy currents, stays.
    """
    xp, as_a_whole = array_module(predicted), np.float32(0)
    miss = (measured - predicted)[bright]
    if len(miss):
        mean = _mean_phasor(miss, magnitude[bright] ** 2)
        if abs(mean) > COHERENT:
            as_a_whole = np.float32(np.angle(mean))
        off = xp.abs(wrapped(miss - as_a_whole)) > np.float32(np.pi / 2)
        if float(off.mean()) > UNPREDICTED:
            return None
    return nearest_turn(measured, predicted + as_a_whole)


def _mean_phasor(angle: Array, weight: Array) -> complex:
    # sine and cosine of single precision are many times as fast as a complex exponential
    xp = array_module(angle)
    parts = weight, weight * xp.cos(angle), weight * xp.sin(angle)
    total, re, im = xp.stack([part.sum(dtype=xp.float64) for part in parts]).tolist()
    return complex(re, im) / total if total > 0 else 0j  # no weight: nothing agrees


def _whole_turns(angle: Array) -> np.float32:
    """Multiple of 2 pi nearest to the median."""
    return np.float32(TWO_PI * round(float(array_module(angle).median(angle)) / TWO_PI))
