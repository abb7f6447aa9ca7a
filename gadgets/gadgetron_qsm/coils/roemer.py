"""Combine coil images with known sensitivities."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, slabs
from gadgetron_qsm.coils.products import add_products, power

TINY = float(np.finfo(np.float32).tiny)  # where no coil is sensitive


def roemer(images: Array, sensitivities: Array) -> Array:
    """Combine coils for the best signal to noise, the noise the same everywhere.

    images (echo, coil, z, y, x) complex64 of white noise, which are only read; sensitivities
    (coil, z, y, x) complex64 of any norm s: sum(conj(s) m) / sqrt(sum |s|^2).
    Returns (echo, z, y, x) complex64, of the magnitude of the root sum of squares and the noise
    of one coil; 0 where no coil is sensitive. Images may be `Tiles`: on the device there are one
    or two coils' at a time, beside the sensitivities and the result.
    Roemer et al. 1990, doi:10.1002/mrm.1910160203.
    """
    xp = array_module(sensitivities)
    combined = xp.zeros((len(images), *sensitivities.shape[1:]), xp.complex64)
    for planes in slabs(sensitivities, axis=1):
        seen = sensitivities[:, planes]
        norm = 1 / xp.sqrt(xp.maximum(power(seen), TINY))
        for echo in range(len(images)):
            total = combined[echo, planes]
            of_coils = (images[echo, coil, planes] for coil in range(len(seen)))
            add_products(total, seen, of_coils)
            total *= norm
    return combined
