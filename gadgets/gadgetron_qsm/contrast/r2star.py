"""R2* from the magnitude of the echoes, and T2* from R2*."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, slabs

MS_PER_S = np.float32(1000)
TINY = np.finfo(np.float32).tiny
FAINTEST = np.float32(1e-6)  # of the largest magnitude: a dark echo has a logarithm, and no weight


def weighted_log_fit(magnitude: Array, echo_times_s: Sequence[float]) -> Array:
    """Fit log magnitude = a - R2* TE, weighted by the squared magnitude.

    magnitude (echo, z, y, x), any unit, noise of equal variance in all echoes, whose logarithm
    then has a variance of 1 / magnitude^2. Returns R2* (z, y, x) in 1/s, float32, 0 or more.
    Raises ValueError for fewer than two echoes.
    Weighted least squares as compared by Pei et al. 2015, doi:10.1002/mrm.25137.
    """
    xp = array_module(magnitude)
    if len(echo_times_s) < 2:
        raise ValueError("R2* needs at least two echoes")
    rate = xp.empty(magnitude.shape[1:], xp.float32)
    times = [np.float32(time) for time in echo_times_s]
    scale = 1 / xp.maximum(magnitude.max(), TINY)
    for planes in slabs(rate):
        size = xp.maximum(magnitude[:, planes] * scale, FAINTEST)
        rate[planes] = _decay(size.astype(xp.float32, copy=False), times)
    return rate


def _decay(size: Array, times: Sequence[np.float32]) -> Array:
    """Weighted regression of log size (echo, z, y, x), no echo of which is 0; 0 or more."""
    xp = array_module(size)
    power, late, fall, spread = (xp.zeros(size.shape[1:], xp.float32) for _ in range(4))
    for echo, time in zip(size, times, strict=True):
        weight = echo * echo
        power += weight
        late += time * weight
    centre = late / power
    for echo, time in zip(size, times, strict=True):
        away = time - centre
        weighted = echo * echo * away
        fall -= weighted * xp.log(echo)
        spread += weighted * away
    return xp.maximum(fall / spread, 0)


def t2star(r2star: Array, *, longest_ms: float = 500.0) -> Array:
    """T2* (z, y, x) in ms, float32, of an R2* in 1/s; 0 where it is longer than can be told.

    `longest_ms`: echoes span some tens of ms, over which a slower decay is lost in noise.
    """
    xp = array_module(r2star)
    told = r2star * np.float32(longest_ms) >= MS_PER_S
    return xp.where(told, MS_PER_S / xp.where(told, r2star, 1), 0).astype(xp.float32)
