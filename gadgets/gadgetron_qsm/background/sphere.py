"""Spheres: the mean over one as a filter, and where one fits a mask."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, fft_module

ROUNDING = 1 + 1e-5  # voxels at just a sphere's radius belong to it
DEGREE = 12  # of the harmonic polynomials whose mean is made that of a true sphere
EVENNESS = 1e-4  # of the weights, relative to the polynomials' mean square
MANY = 10_000  # voxels, which make a sphere as they are


def less_mean(
    shape: Sequence[int], radius_mm: float, voxel_size: Sequence[float], like: Array
) -> Array:
    """Return the filter that takes the mean over a sphere off its centre, on the half spectrum.

    A field whose sources lie outside the sphere is harmonic in it: its mean equals its centre, so
    that nothing of it is left. Real, float32, for `rfftn` over `shape`.
    Schweser et al. 2011, doi:10.1016/j.neuroimage.2010.11.088.
    """
    xp = array_module(like)
    weights = sphere(radius_mm, voxel_size)
    kernel = xp.zeros(tuple(shape), xp.float32)
    kernel[tuple(slice(n) for n in weights.shape)] = xp.asarray(weights, dtype=np.float32)
    kernel = xp.roll(kernel, [-(n // 2) for n in weights.shape], (0, 1, 2))
    return 1 - fft_module(like).rfftn(kernel).real


def sphere(radius_mm: float, voxel_size: Sequence[float]) -> NDArray[np.float64]:
    """Return the weights (z, y, x) of the voxels of a ball that take the mean over a sphere.

    The voxels of a small ball are no sphere: weighed alike, they give harmonic polynomials a mean
    that is not their centre. These weights, of sum 1, are near even, and make those means vanish
    up to DEGREE, as nearly as so few voxels can. With them small spheres are of use at a rim.
    Balls of MANY voxels are weighed alike.
    """
    return _sphere(float(radius_mm), tuple(map(float, voxel_size))).copy()


@lru_cache(maxsize=64)
def _sphere(radius_mm: float, voxel_size: tuple[float, ...]) -> NDArray[np.float64]:
    reach = [int(radius_mm * ROUNDING / size) for size in voxel_size]
    axes = [np.arange(-n, n + 1) * size for n, size in zip(reach, voxel_size, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))
    held = np.linalg.norm(places, axis=0) <= radius_mm * ROUNDING
    if np.count_nonzero(held) >= MANY:
        return held / np.count_nonzero(held)
    polynomials = _harmonics(places[:, held] / radius_mm)
    count = polynomials.shape[1]
    passing = polynomials @ polynomials.T / count + EVENNESS * np.eye(len(polynomials))
    even = polynomials.mean(axis=1)
    weights = np.zeros(held.shape)
    weights[held] = 1 - polynomials.T @ np.linalg.solve(passing, even)
    return weights / weights.sum()


def fits(deep: Array, radius_mm: float) -> Array:
    """Voxels around which a sphere of `radius_mm` holds nothing but mask, from their depth."""
    return deep > radius_mm * ROUNDING


def _harmonics(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Legendre's r^n P_n(cos angle) of even n up to DEGREE at each place (zyx, voxel).

    The axes are all that lead to one of a voxel's 26 neighbours, so that weights which are made of
    them have the symmetry of the grid.
    """
    to_neighbours = [a for a in itertools.product((-1, 0, 1), repeat=3) if a > (0, 0, 0)]
    axes = np.array(to_neighbours) / np.linalg.norm(to_neighbours, axis=1, keepdims=True)
    along, square = axes @ places, (places**2).sum(axis=0)
    before, now = np.ones_like(along), along
    found = []
    for n in range(2, DEGREE + 1):
        before, now = now, ((2 * n - 1) * along * now - (n - 1) * square * before) / n
        if n % 2 == 0:
            found.append(now)
    return np.concatenate(found)
