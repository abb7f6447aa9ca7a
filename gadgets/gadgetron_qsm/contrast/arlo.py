"""ARLO: R2* in closed form from equidistant echoes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module

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
    tiny = xp.finfo(xp.float32).tiny
    signal = (magnitude / max(float(magnitude.max()), float(tiny))).astype(xp.float32)
    integral = third * (signal[:-2] + 4 * signal[1:-1] + signal[2:])
    loss = signal[:-2] - signal[2:]
    both = (integral * loss).sum(axis=0)
    rate = third * (loss * loss).sum(axis=0) + both
    rate /= xp.maximum((integral * integral).sum(axis=0) + third * both, tiny)
    return xp.maximum(rate, 0).astype(xp.float32)


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
