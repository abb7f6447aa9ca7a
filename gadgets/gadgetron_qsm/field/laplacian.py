"""Laplacian unwrapping: the phase whose Laplacian is that of the wrapped phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module
from gadgetron_qsm.field.edges import divergence
from gadgetron_qsm.field.wraps import wrapped
from gadgetron_qsm.grid import spread


def laplacian(phase: Array, voxel_size: Sequence[float]) -> Array:
    """Unwrap a phase by its Laplacian, which wraps do not change.

    phase (z, y, x) or (echo, z, y, x) in rad; voxel_size (z, y, x) in mm.
    The Laplacian is made of the wrapped steps between neighbours, and inverted in the cosine
    transform: the grid's borders mirror, and all other voxels count alike. A phase that nowhere
    steps by more than half a turn comes back exactly but for a constant. What noise around an
    object spoils is harmonic within the object: background removal takes it off, but until then
    the result is no whole number of turns away from the phase.
    Returns float32 of mean 0, an echo at a time. Takes one pair of cosine transforms a volume,
    as long as a pair of real FFTs.
    Schofield and Zhu 2003, doi:10.1364/OL.28.001194; with the cosine transform Ghiglia and Romero
    1994, doi:10.1364/JOSAA.11.000107.
    """
    if phase.ndim == 4:
        return array_module(phase).stack([laplacian(echo, voxel_size) for echo in phase])
    return from_steps(
        [wrapped(array_module(phase).diff(phase, axis=a)) for a in range(3)], voxel_size
    )


def from_steps(steps: Sequence[Array], voxel_size: Sequence[float]) -> Array:
    """Return the volume (z, y, x) of mean 0 whose steps are, in the least squares, the given ones.

    steps: along each axis those between neighbours, one less than voxels. Each weighs by
    1 / size^2, as in the Laplacian.
    """
    fft = fft_module(steps[0])
    per_area = [step / np.float32(size**2) for step, size in zip(steps, voxel_size, strict=True)]
    spectrum = fft.dctn(divergence(per_area))
    spectrum /= _eigenvalues(spectrum.shape, voxel_size, spectrum)
    return fft.idctn(spectrum)


def _eigenvalues(shape: Sequence[int], voxel_size: Sequence[float], like: Array) -> Array:
    """Eigenvalues of the Laplacian in the cosine transform; 1 in the place of the first's 0."""
    total = array_module(like).zeros(tuple(shape), np.float32)
    for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True)):
        total += spread((2 * np.cos(np.pi * np.arange(n) / n) - 2) / size**2, axis, like)
    total[0, 0, 0] = 1
    return total
