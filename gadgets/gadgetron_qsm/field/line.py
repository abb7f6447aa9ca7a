"""Straight lines through the phase of the echoes, and how far each echo keeps to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.field.wraps import nearest_turn

FAINT = 1e-24  # of the largest weight: less is none
BRIGHT, BRIGHTEST = 0.04, 99  # of the squared magnitude at this percentile: signal for sure
MEDIAN_SQUARE = 0.4549  # of a normal variable of unit variance
LIKELY = 3.0  # standard deviations that noise alone may make
MOST_PLANES = 32  # that are looked at for one number


@dataclass(frozen=True)
class Line:
    """phase = value + slope (t - centre), arrays (z, y, x); of the slope's estimate `information`.

    weight: of the value's estimate; None when the line goes through 0 at TE = 0.
    """

    centre: Array
    value: Array
    slope: Array
    information: Array
    weight: Array | None

    def at(self, time_s: float) -> Array:
        """Return the phase (rad) at a time."""
        return self.value + self.slope * (np.float32(time_s) - self.centre)

    def variance(self, time_s: float) -> Array:
        """Return the variance of that phase, for phases of variance 1 / weight."""
        of_slope = (np.float32(time_s) - self.centre) ** 2 / self.information
        return of_slope if self.weight is None else of_slope + 1 / self.weight


def fit_line(phase: Array, weight: Array, echo_times_s: Sequence[float], *, offset: bool) -> Line:
    """Fit a line by weighted least squares, through 0 at TE = 0 unless with `offset`.

    phase (echo, z, y, x) in rad, unwrapped; weight alike, largest about 1.
    """
    xp = array_module(phase)
    zero = xp.zeros(phase.shape[1:], xp.float32)
    total, centre, value = None, zero, zero
    times = [np.float32(time_s) for time_s in echo_times_s]
    least = np.float32(FAINT * max(times) ** 2)
    if offset:
        total = xp.maximum(weight.sum(axis=0), np.float32(FAINT))
        centre = sum((w * t for w, t in zip(weight, times, strict=True)), zero) / total
        value = (weight * phase).sum(axis=0) / total
    information, change = zero + least, zero.copy()
    for w, t, echo in zip(weight, times, phase, strict=True):
        from_centre = w * (t - centre)
        information += from_centre * (t - centre)
        change += from_centre * echo
    return Line(centre, value, change / information, information, total)


def follow(
    phase: Array, power: Array, echo_times_s: Sequence[float], *, known: int = 1, offset: bool
) -> None:
    """Turn each echo in place by what brings it nearest to the line of the echoes before.

    phase (echo, z, y, x) in rad; power: squared magnitude, largest 1. The first `known` echoes,
    at least two with `offset`, stay as they are.
    """
    for echo in range(known, len(phase)):
        before = fit_line(phase[:echo], power[:echo], echo_times_s[:echo], offset=offset)
        phase[echo] = nearest_turn(phase[echo], before.at(echo_times_s[echo]))


def echo_trust(
    phase: Array,
    power: Array,
    echo_times_s: Sequence[float],
    largest_misfit_rad: float,
    *,
    offset: bool,
) -> Array:
    """Return how far (echo, z, y, x; 0 to 1) each echo can be trusted, by the echoes before it.

    phase (echo, z, y, x) in rad, unwrapped; power: squared magnitude, largest 1. The first echoes
    are trusted. Whoever leaves their line by more than `largest_misfit_rad`, and by more than
    noise, loses trust, and so do all echoes after it. The noise is told from the median misfit.
    """
    xp = array_module(phase)
    trust = xp.ones(phase.shape, xp.float32)
    for echo in range(2 if offset else 1, len(phase)):
        before = fit_line(
            phase[:echo], power[:echo] * trust[:echo], echo_times_s[:echo], offset=offset
        )
        square = (phase[echo] - before.at(echo_times_s[echo])) ** 2
        variance = before.variance(echo_times_s[echo]) + 1 / xp.maximum(power[echo], FAINT)
        likely = np.float32(LIKELY**2 * _noise(square / variance, power[0])) * variance
        square /= xp.maximum(likely, np.float32(largest_misfit_rad**2))
        trust[echo] = trust[echo - 1] / (1 + square * square)
    return trust


def bright(power: Array) -> Array:
    """Tell which voxels signal for sure, by the squared magnitude of an echo, any unit."""
    return power > BRIGHT * array_module(power).percentile(power, BRIGHTEST)


def _noise(square: Array, power: Array) -> float:
    """Variance that squares of noise have, by their median in the bright voxels."""
    xp = array_module(square)
    step = -(-len(square) // MOST_PLANES)
    seen = square[::step][bright(power[::step])]
    return float(xp.median(seen)) / MEDIAN_SQUARE if seen.size else 0.0
