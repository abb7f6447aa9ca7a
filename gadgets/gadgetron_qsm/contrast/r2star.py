"""R2* from the magnitude of the echoes, and T2* from R2*."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module

MS_PER_S = np.float32(1000)
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
    times = xp.asarray(echo_times_s, dtype=xp.float32)[:, None, None, None]
    largest = max(float(magnitude.max()), float(xp.finfo(xp.float32).tiny))
    size = xp.maximum(magnitude / largest, FAINTEST)
    weight = size * size
    power = weight.sum(axis=0)
    late = times - (weight * times).sum(axis=0) / power
    log = xp.log(size)
    slope = (weight * late * log).sum(axis=0) / (weight * late * late).sum(axis=0)
    return xp.maximum(-slope, 0).astype(xp.float32)


def t2star(r2star: Array, *, longest_ms: float = 500.0) -> Array:
    """T2* (z, y, x) in ms, float32, of an R2* in 1/s; 0 where it is longer than can be told.

    `longest_ms`: echoes span some tens of ms, over which a slower decay is lost in noise.
    """
    xp = array_module(r2star)
    told = r2star * np.float32(longest_ms) >= MS_PER_S
    return xp.where(told, MS_PER_S / xp.where(told, r2star, 1), 0).astype(xp.float32)
