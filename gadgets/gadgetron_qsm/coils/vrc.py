"""Sensitivities relative to a coil made of all coils, for scans of a single echo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, slabs, to_numpy
from gadgetron_qsm.coils.products import power
from gadgetron_qsm.coils.sensitivities import relative_sensitivities
from gadgetron_qsm.coils.thinned import thinned

ABOVE_NOISE = 2.0  # times the darkest signal, which is noise where there is air
BRIGHT = 0.5  # of the brightest signal: is seen even without air
DARKEST, BRIGHTEST = 1, 99  # percentiles, instead of extremes that one voxel makes
MOST_VOXELS = 2048  # that the virtual coil is made from
STEPS = 20  # towards its best weights
TINY = float(np.finfo(np.float32).tiny)
FAINT = 1e-3  # power seen of a voxel, of all of its power, that counts as blind


def virtual_reference_coil(
    images: Array,
    echo_times_s: Sequence[float],
    voxel_size: Sequence[float],
    *,
    smoothing_mm: float = 6.0,
) -> Array:
    """Estimate sensitivities relative to a virtual coil that sees all of the object.

    images (echo, coil, z, y, x) complex64, noise white; voxel_size (z, y, x) in mm. The echo of
    the shortest time is used. The virtual coil is one weighted sum of all coils, its weights such
    that it is nowhere blind. The combined phase is that of the virtual coil: that of the field,
    and its own smooth offset, which stays, as one echo cannot tell the two apart; removal of the
    background field takes off most of it. Without a blind spot there are no singularities.
    Returns (coil, z, y, x) complex64, of any norm. Raises ValueError for images without signal.
    Parker et al. 2014, doi:10.1002/mrm.24932.
    """
    shortest = images[int(np.argmin(echo_times_s))]
    virtual = virtual_coil(shortest)
    return relative_sensitivities(shortest, virtual, voxel_size, smoothing_mm=smoothing_mm)


def virtual_coil(images: Array) -> Array:
    """Weighted sum (z, y, x) of images (coil, z, y, x) that is blind nowhere in the object.

    Raises ValueError for images without signal.
    """
    xp = array_module(images)
    weights = _weights(_directions(images)).conj()
    virtual = xp.zeros(images.shape[1:], images.dtype)
    for planes in slabs(virtual):
        part = virtual[planes]
        seen = xp.empty_like(part)
        for weight, image in zip(weights, images, strict=True):
            xp.multiply(image[planes], weight, out=seen)
            part += seen
    return virtual


def _directions(image: Array) -> NDArray[np.complex64]:
    """Coil vectors (voxel, coil) of norm 1 of voxels spread over all that is no noise."""
    xp = array_module(image)
    seen = power(image)
    darkest, brightest = xp.percentile(thinned(seen), [DARKEST, BRIGHTEST])
    bright = xp.flatnonzero(seen > xp.minimum(ABOVE_NOISE**2 * darkest, BRIGHT**2 * brightest))
    if len(bright) == 0:
        raise ValueError("the coil images hold no signal")
    chosen = np.linspace(0, len(bright) - 1, min(len(bright), MOST_VOXELS)).astype(int)
    bright = bright[xp.asarray(chosen)]
    vectors = xp.stack([coil.ravel()[bright] for coil in image], axis=1)
    return to_numpy(vectors / xp.sqrt(seen.ravel()[bright][:, None]))


def _weights(directions: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Weights (coil) of norm 1 of a virtual coil that sees every one of these voxels.

    From the largest principal component, which is blind where others see alone, climbs towards the
    largest mean logarithm of the power seen, which falls without bound at a blind spot. Their
    common phase, which is free, makes the mean phase of what is seen 0.
    """
    conjugate = directions.conj()
    weights = np.linalg.eigh(directions.T @ conjugate)[1][:, -1]
    for _ in range(STEPS):
        seen = conjugate @ weights
        seen /= np.maximum(np.abs(seen) ** 2, FAINT)
        weights = weights + directions.T @ seen / len(directions)
        weights /= np.linalg.norm(weights)
    mean = (directions @ weights.conj()).mean()
    return weights * (mean / max(abs(mean), TINY))
