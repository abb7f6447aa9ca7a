"""ARLO: R2* in closed form from equidistant echoes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, slabs

TINY = np.finfo(np.float32).tiny
UNEVEN = 0.01  # of the spacing: echo times are given to 10 us, and a spacing is 1 ms or more


def arlo(magnitude: Array, echo_times_s: Sequence[float]) -> Array:
    """Fit the decay by auto-regression: its integral over two spacings against its loss there.

    Over [TE, TE + 2 d] an exponential loses R2* times its integral; Simpson's rule takes that
    from three echoes. The rule is off by about (R2* d)^4 / 180: 1 % where R2* d = 1.2.
    magnitude (echo, z, y, x), any unit. Returns R2* (z, y, x) in 1/s, float32, 0 or more.
    Raises ValueError for fewer than three echoes, and for echoes that are not equidistant.
    Pei et al. 2015, doi:10.1002/mrm.25137, with its erratum, doi:10.1002/mrm.27807.
    """
    xp = array_module(magnitude)
    third = np.float32(_spacing(echo_times_s) / 3)
    scale = 1 / xp.maximum(magnitude.max(), TINY)
    rate = xp.empty(magnitude.shape[1:], xp.float32)
    for planes in slabs(rate):
        rate[planes] = _decay((magnitude[:, planes] * scale).astype(xp.float32, copy=False), third)
    return rate


def _decay(signal: Array, third: np.float32) -> Array:
    """The rate, 0 or more, of signal (echo, z, y, x); `third` of the echo spacing in s."""
    xp = array_module(signal)
    integrals, losses, both = (xp.zeros(signal.shape[1:], xp.float32) for _ in range(3))
    for first, second, last in zip(signal[:-2], signal[1:-1], signal[2:], strict=True):
        integral = third * (first + 4 * second + last)
        loss = first - last
        both += integral * loss
        losses += loss * loss
        integrals += integral * integral
    rate = third * losses + both
    rate /= xp.maximum(integrals + third * both, TINY)
    return xp.maximum(rate, 0)


def _spacing(echo_times_s: Sequence[float]) -> float:
    if len(echo_times_s) < 3:
        raise ValueError("ARLO needs at least three echoes; take the log-linear fit for two")
    spacings = np.diff(echo_times_s)
    mean = float(spacings.mean())
    if not np.all(np.abs(spacings - mean) <= UNEVEN * abs(mean)):
        times = ", ".join(f"{1000 * time:g}" for time in echo_times_s)
        raise ValueError(
            f"ARLO needs equidistant echoes, and they are at {times} ms; "
            "take the log-linear or the nonlinear fit"
        )
    return mean
