"""R2* by nonlinear least squares of the magnitude."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, slabs
from gadgetron_qsm.contrast.r2star import weighted_log_fit

FIRST_DAMPING, SMALLEST_DAMPING = 1e-3, np.float32(1e-7)  # below, float32 sees no difference
TINY = float(np.finfo(np.float32).tiny)
PACE = 10  # by which a step that helped or did not changes the damping, as Marquardt proposes
LONGEST_STEP = 1.0  # of log A, and of R2* times the mean echo time: e times more or less signal


def nonlinear_r2star(
    magnitude: Array,
    echo_times_s: Sequence[float],
    *,
    noise_floor: float = 0.0,
    iterations: int = 5,
) -> Array:
    """Fit magnitude = sqrt((A exp(-R2* TE))^2 + noise_floor^2), voxel by voxel.

    From the log-linear fit on, by Levenberg and Marquardt in log A and R2*. magnitude
    (echo, z, y, x); `noise_floor` in its unit: standard deviation of the real part (in air the
    mean magnitude is 1.25 of it), which keeps iron from looking slower than it decays.
    Returns R2* (z, y, x) in 1/s, float32, 0 or more.
    Raises ValueError for fewer than two echoes.
    Marquardt 1963, doi:10.1137/0111030; floor: Gudbjartsson and Patz 1995,
    doi:10.1002/mrm.1910340618.
    """
    xp = array_module(magnitude)
    rate = weighted_log_fit(magnitude, echo_times_s)
    scale = max(float(magnitude.max()), TINY)
    floor = np.float32((noise_floor / scale) ** 2)
    unit = float(np.mean(echo_times_s))  # times in units of their mean, of which rates are inverse
    times = [np.float32(time / unit) for time in echo_times_s]
    for planes in slabs(rate):
        size = (magnitude[:, planes] / scale).astype(xp.float32, copy=False)
        rate[planes] = _refined(size, times, rate[planes] * unit, floor, iterations) / unit
    return rate


def _refined(
    size: Array, times: Sequence[np.float32], rate: Array, floor: np.float32, iterations: int
) -> Array:
    """The rate (z, y, x), 0 or more, that fits size (echo, z, y, x), from one that nearly does."""
    xp = array_module(size)
    log = _amplitude(size, times, rate)
    damping = xp.full(rate.shape, FIRST_DAMPING, xp.float32)
    cost, normal = _linearised(size, times, log, rate, floor)
    for _ in range(iterations):
        step_log, step_rate = _step(normal, damping)
        tried, trial = _linearised(size, times, log + step_log, rate + step_rate, floor)
        better = tried <= cost
        log = xp.where(better, log + step_log, log)
        rate = xp.where(better, rate + step_rate, rate)
        damping = xp.maximum(xp.where(better, damping / PACE, damping * PACE), SMALLEST_DAMPING)
        cost = xp.where(better, tried, cost)
        normal = [xp.where(better, *pair) for pair in zip(trial, normal, strict=True)]
    return xp.maximum(rate, 0)


def _amplitude(size: Array, times: Sequence[np.float32], rate: Array) -> Array:
    """Log of the amplitude that fits best, given the rate."""
    xp = array_module(size)
    decays = [xp.exp(-time * rate) for time in times]
    power = sum(decay * decay for decay in decays)
    amplitude = sum(m * decay for m, decay in zip(size, decays, strict=True)) / power
    return xp.log(xp.maximum(amplitude, TINY))


def _linearised(
    size: Array, times: Sequence[np.float32], log: Array, rate: Array, floor: np.float32
) -> tuple[Array, list[Array]]:
    """Squared misfit, and the normal equations of the model's derivatives in log A and R2*."""
    xp = array_module(size)
    cost, pull, late_pull, power, late, later = (xp.zeros_like(rate) for _ in range(6))
    for m, time in zip(size, times, strict=True):
        signal = xp.exp(log - time * rate)
        model = xp.sqrt(signal * signal + floor)
        slope = signal * signal / xp.maximum(model, TINY)
        misfit = m - model
        cost += misfit * misfit
        pull += slope * misfit
        late_pull -= time * slope * misfit
        power += slope * slope
        late -= time * slope * slope
        later += time * time * slope * slope
    return cost, [pull, late_pull, power, late, later]


def _step(normal: Sequence[Array], damping: Array) -> tuple[Array, Array]:
    pull, late_pull, power, late, later = normal
    xp = array_module(damping)
    a, c = power * (1 + damping), later * (1 + damping)
    determinant = a * c - late * late
    determinant = xp.maximum(determinant, TINY)
    of_log = (c * pull - late * late_pull) / determinant
    of_rate = (a * late_pull - late * pull) / determinant
    return tuple(xp.clip(step, -LONGEST_STEP, LONGEST_STEP) for step in (of_log, of_rate))
