"""How much parallel imaging amplifies the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.kspace.kernels import Kernels

BUFFER = 2**22  # entries of unfolding matrices that are worked on together


def g_factor(kernels: Kernels, sensitivities: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Noise of the combined image over that of a full scan, less the square root of fewer lines.

    sensitivities (coil, z, y, x) of whitened coils, also of the middle of the encoded matrix
    alone, are the weights of the combination. Returns (z, y, x): 1 without acceleration and where
    no coil sees anything. It is the lattice's, far from its edge: fully sampled lines at the centre
    make the noise lower, lines at the edge of k-space with fewer sources change it a little.
    Breuer et al. 2009, doi:10.1002/mrm.22066.
    """
    coils, *shape = sensitivities.shape
    total, step = len(kernels.targets), max(1, BUFFER // coils**2)
    moved, index = _displacements(kernels)
    voxels = [np.arange(n) - n // 2 for n in shape[:2]]
    phases = [
        np.exp(2j * np.pi / n * np.outer(r, d)).astype(np.complex64)
        for n, r, d in zip(kernels.matrix, voxels, moved.T, strict=True)
    ]
    wave = np.einsum("zd,yd->zyd", *phases).reshape(-1, len(moved))
    result = np.ones((shape[0] * shape[1], shape[2]), np.float32)
    for x in range(shape[2]):
        unfold = _unfold(kernels, x, index, len(moved))
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


def _unfold(kernels: Kernels, x: int, index: NDArray[np.intp], count: int) -> NDArray[np.complex64]:
    """Kernel (displacement, coil * coil) from the lattice's lines to all lines at one x."""
    sources, targets = index.shape
    coils = kernels.weights.shape[2]
    weights = kernels.at(np.array([x])).reshape(sources, coils, targets, coils)
    unfold = np.zeros((count, coils, coils), np.complex64)
    left_out = kernels.targets.any(axis=1)  # all but the cell's first, which is the lattice's own
    np.add.at(unfold, index[:, left_out], weights.transpose(0, 2, 1, 3)[:, left_out])
    itself = (kernels.sources == 0).all(axis=1)
    unfold[index[itself, ~left_out]] += np.eye(coils, dtype=np.complex64)
    return unfold.reshape(count, -1)


def _amplified(
    unfold: NDArray[np.complex64], combine: NDArray[np.complex64], total: int
) -> NDArray[np.float32]:
    """Noise (voxel,) of the coils unfolded by (voxel, coil * coil) and combined (voxel, coil)."""
    coils = combine.shape[1]
    through = np.matmul(unfold.reshape(-1, coils, coils), combine[:, :, None])[..., 0]
    full = np.linalg.norm(combine, axis=1)
    fewer = np.linalg.norm(through, axis=1)
    return np.divide(fewer, total * full, out=np.ones_like(full), where=full > 0)
