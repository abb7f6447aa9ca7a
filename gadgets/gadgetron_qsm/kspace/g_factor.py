"""How much parallel imaging amplifies the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.kspace.kernels import Kernels
from gadgetron_qsm.kspace.lattice import Places

BUFFER = 2**22  # entries of unfolding matrices that are worked on together,
DEVICE_BUFFER = 2**24  # on a device, where each call has its price,
DEVICE_SLAB = 32  # and planes whose kernels are found together there


def g_factor(kernels: Kernels, sensitivities: Array) -> Array:
    """Noise of the combined image over that of a full scan, less the square root of fewer lines.

    sensitivities (coil, z, y, x) of whitened coils, also of the middle of the encoded matrix
    alone, are the weights of the combination. Returns (z, y, x): 1 without acceleration and where
    no coil sees anything. It is the lattice's, far from its edge: fully sampled lines at the centre
    make the noise lower, lines at the edge of k-space with fewer sources change it a little.
    Breuer et al. 2009, doi:10.1002/mrm.22066.
    """
    xp = array_module(sensitivities)
    coils, *shape = sensitivities.shape
    buffer, slab = (BUFFER, 1) if xp is np else (DEVICE_BUFFER, DEVICE_SLAB)
    total, step = len(kernels.targets), max(1, buffer // coils**2)
    moved, index = _displacements(kernels)
    sums = xp.asarray(_sums(kernels, index, len(moved)))
    itself = index[(kernels.sources == 0).all(axis=1)][:, ~kernels.targets.any(axis=1)]
    voxels = [np.arange(n) - n // 2 for n in shape[:2]]
    phases = [
        np.exp(2j * np.pi / n * np.outer(r, d)).astype(np.complex64)
        for n, r, d in zip(kernels.matrix, voxels, moved.T, strict=True)
    ]
    wave = xp.asarray(np.einsum("zd,yd->zyd", *phases).reshape(-1, len(moved)))
    result = xp.ones((shape[0] * shape[1], shape[2]), np.float32)
    planes = np.arange(shape[2])
    for together in np.split(planes, planes[slab::slab]):
        for x, unfold in zip(
            together.tolist(), _unfold(kernels, together, sums, itself), strict=True
        ):
            seen = sensitivities[..., x].reshape(coils, -1).T
            for first in range(0, len(seen), step):
                some = slice(first, first + step)
                result[some, x] = _amplified(wave[some] @ unfold, seen[some].conj(), total)
    return result.reshape(shape)


def _displacements(kernels: Kernels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Distances (n, 2) from sources to targets, and which one each (source, target) has."""
    away = kernels.targets - kernels.sources[:, None]
    moved, index = np.unique(away.reshape(-1, 2), axis=0, return_inverse=True)
    return moved, index.reshape(away.shape[:2])


def _sums(kernels: Kernels, index: NDArray[np.intp], count: int) -> NDArray[np.complex64]:
    """Matrix (displacement, source * target) that adds up the weights of each displacement.

    Those of the lines left out: all but the cell's first, which is the lattice's own.
    """
    left_out = kernels.targets.any(axis=1)
    chosen = (np.arange(count)[:, None, None] == index) & left_out
    return chosen.reshape(count, -1).astype(np.complex64)


def _unfold(kernels: Kernels, x: Places, sums: Array, itself: NDArray[np.intp]) -> Array:
    """Kernels (x, displacement, coil * coil) from the lattice's lines to all lines at some x."""
    sources, coils, targets, _ = kernels.weights.shape[1:]
    weights = kernels.at(x).reshape(len(x), sources, coils, targets, coils)
    weights = weights.transpose(0, 1, 3, 2, 4).reshape(len(x), sources * targets, -1)
    unfold = sums @ weights
    for own in itself.ravel().tolist():
        unfold[:, own] += array_module(unfold).eye(coils, dtype=np.complex64).ravel()
    return unfold


def _amplified(unfold: Array, combine: Array, total: int) -> Array:
    """Noise (voxel,) of the coils unfolded by (voxel, coil * coil) and combined (voxel, coil)."""
    xp = array_module(unfold)
    coils = combine.shape[1]
    through = xp.matmul(unfold.reshape(-1, coils, coils), combine[:, :, None])[..., 0]
    full, fewer = (xp.linalg.norm(noise, axis=1) for noise in (combine, through))
    return xp.where(full > 0, fewer / (total * xp.where(full > 0, full, 1)), 1)
