"""Nonlinear fit of the complex echoes: field and phase offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.field.echo_fit import EchoFit, fitted, relative_power
from gadgetron_qsm.field.line import Line, echo_trust, fit_line, follow
from gadgetron_qsm.field.romeo import free_turns, romeo
from gadgetron_qsm.field.wraps import TWO_PI

WHOLE = 0.01  # off a whole multiple
COHERENT = 0.5  # mean of phasors: below, an echo tells nothing of turns


def nonlinear_fit(
    echoes: Array,
    echo_times_s: Sequence[float],
    larmor_hz: float,
    _voxel_size: Sequence[float],
    *,
    iterations: int = 3,
    offset: bool = True,
    largest_misfit_rad: float = 0.3,
) -> EchoFit:
    """Fit m exp(i (offset + 2 pi f TE)) to the complex echoes by Gauss-Newton.

    echoes (echo, z, y, x) complex; echo times may be spaced unevenly. Each step solves the 2 x 2
    normal equations of a voxel in closed form; noise is that of the complex signal, and an echo
    on the far side of the circle pulls at nothing. It starts from a linear fit, for which the
    phase that the field makes between the first two echoes, which is free of the offset, is
    unwrapped in space (ROMEO), with the help of the first echo where that comes sooner than they
    are apart. The turns that this is free to take are those that the third echo agrees with, or
    the first if that tells none, or else those nearest to 0. Without `offset` the phase is taken
    to be 0 at TE = 0, and the start is `romeo`. Echoes are trusted as in `weighted_echo_fit`.
    Raises ValueError when asked for the offset of a single echo.
    Liu et al. 2013, doi:10.1002/mrm.24272.
    """
    if offset and len(echoes) < 2:
        raise ValueError(
            "the nonlinear fit of a phase offset needs at least two echoes; set offset to False, "
            "or take the method 'romeo'"
        )
    xp = array_module(echoes)
    magnitude = xp.abs(echoes)
    power, scale = relative_power(magnitude)
    if offset:
        phase = _unwrapped(echoes, magnitude, power, echo_times_s)
    else:
        phase = romeo(xp.angle(echoes), magnitude, echo_times_s)
    weight = echo_trust(phase, power, echo_times_s, largest_misfit_rad, offset=offset)
    weight *= power
    line = fit_line(phase, weight, echo_times_s, offset=offset)
    for _ in range(iterations):
        line = _step(line, phase, weight, echo_times_s, offset)
    return fitted(line, phase, power, echo_times_s, larmor_hz, scale)


def _unwrapped(
    echoes: Array, magnitude: Array, power: Array, echo_times_s: Sequence[float]
) -> Array:
    """Return the phase (echo, z, y, x) of lines whose offset is anything within a turn."""
    phase = array_module(echoes).angle(echoes)
    step = _between(phase, magnitude, echo_times_s)
    phase[1] = phase[0] + step - np.float32(TWO_PI * _turns_off(step, echoes, echo_times_s))
    follow(phase, power, echo_times_s, known=2, offset=True)
    return phase


def _between(phase: Array, magnitude: Array, echo_times_s: Sequence[float]) -> Array:
    """Unwrap in space the phase between the first two echoes, up to a multiple of 2 pi.

    Where the first comes sooner than they are apart, it wraps less; what it does not predict of
    the phase between them comes from the offset, which is smooth.
    """
    spacing = echo_times_s[1] - echo_times_s[0]
    both = array_module(phase).sqrt(magnitude[0] * magnitude[1])[None]
    growth = np.float32(spacing / echo_times_s[0])
    if growth <= 1:
        return romeo((phase[1] - phase[0])[None], both, [spacing])[0]
    predicted = growth * romeo(phase[:1], magnitude[:1], echo_times_s[:1])[0]
    return predicted + romeo((phase[1] - phase[0] - predicted)[None], both, [spacing])[0]


def _turns_off(step: Array, echoes: Array, echo_times_s: Sequence[float]) -> float:
    """Turns to take off the phase between the first two echoes, so that another one agrees."""
    xp = array_module(step)
    first, spacing = echoes[0], echo_times_s[1] - echo_times_s[0]
    growth, signal = echo_times_s[0] / spacing, first * xp.abs(first)
    if len(echoes) > 2:
        to_third = (echo_times_s[2] - echo_times_s[0]) / spacing
        if abs(to_third - round(to_third)) > WHOLE:
            growth, signal = to_third, echoes[2] * first.conj()
    miss = complex((signal * xp.exp(np.complex64(-1j * growth) * step)).sum(dtype=xp.complex128))
    total = float(xp.abs(signal).sum(dtype=xp.float64)) or 1.0
    return free_turns(miss / total, growth) if abs(miss) > COHERENT * total else 0


def _step(
    line: Line, phase: Array, weight: Array, echo_times_s: Sequence[float], offset: bool
) -> Line:
    """One step of Gauss-Newton: the linear fit of the sines of what the line misses."""
    xp = array_module(phase)
    misses = [
        xp.sin(echo - line.at(time_s)) for echo, time_s in zip(phase, echo_times_s, strict=True)
    ]
    change = fit_line(xp.stack(misses), weight, echo_times_s, offset=offset)
    return replace(line, value=line.value + change.value, slope=line.slope + change.slope)
