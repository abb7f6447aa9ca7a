"""Combine coil images with known sensitivities."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module

TINY = float(np.finfo(np.float32).tiny)  # where no coil is sensitive


def roemer(images: Array, sensitivities: Array) -> Array:
    """Combine coils for the best signal to noise, the noise the same everywhere.

    images (echo, coil, z, y, x) complex64 of white noise, which are only read; sensitivities
    (coil, z, y, x) complex64 of any norm s: sum(conj(s) m) / sqrt(sum |s|^2).
    Returns (echo, z, y, x) complex64, of the magnitude of the root sum of squares and the noise
    of one coil; 0 where no coil is sensitive. Goes plane by plane, to stay in the cache.
    Roemer et al. 1990, doi:10.1002/mrm.1910160203.
    """
    xp = array_module(images)
    combined = xp.zeros(images.shape[:1] + images.shape[2:], xp.complex64)
    for z in range(images.shape[2]):
        power = xp.zeros(images.shape[3:], xp.float32)
        for coil, sensitivity in enumerate(sensitivities[:, z]):
            conjugate = sensitivity.conj()
            power += sensitivity.real**2 + sensitivity.imag**2
            for echo in range(len(images)):
                combined[echo, z] += conjugate * images[echo, coil, z]
        combined[:, z] /= xp.sqrt(xp.maximum(power, TINY))
    return combined
