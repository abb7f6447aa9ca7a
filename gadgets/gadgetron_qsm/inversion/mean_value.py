"""The mean value property on a grid: filters that no field of outer sources passes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.arrays import Array, array_module, fft_module

SIDE = 0.15  # of a voxel's value that each neighbour along an axis has in the smoothed field
DEGREE = 12  # of the harmonic polynomials that the weights are fitted to
REACH = 1.25  # distance, in radii, of the sources whose fields must not pass
EVENNESS = 1e-4  # price of uneven weights relative to that of harmonic fields that pass
ROUNDING = 1 + 1e-5  # voxels at just a sphere's radius belong to it


def mean_value_filter(radius_mm: float, voxel_size: Sequence[float]) -> NDArray[np.float64]:
    """Return a voxel's smoothed value minus the mean over its sphere, as weights (z, y, x).

    A harmonic field equals its mean over a sphere, but the voxels of a small ball hardly are a
    sphere: the mean's weights here are as even as can be while harmonic polynomials up to DEGREE
    cancel, which lets 5 to 30 times less pass. The value is smoothed with its next neighbours,
    because what alternates from voxel to voxel is Gibbs ringing and noise.
    voxel_size (z, y, x) in mm; the box is the smallest odd one that holds the ball.
    Raises ValueError when the ball does not reach the next voxel along each axis.
    Mean values: Schweser et al. 2011, doi:10.1016/j.neuroimage.2010.11.088.
    """
    if radius_mm * ROUNDING < max(voxel_size):
        raise ValueError(
            f"a sphere of {radius_mm:.3g} mm is smaller than a voxel of {max(voxel_size):.3g} mm"
        )
    return _filter(float(radius_mm), tuple(map(float, voxel_size))).copy()


@lru_cache(maxsize=16)  # a fifth of a second for 17 000 voxels, the same for every scan of a kind
def _filter(radius_mm: float, voxel_size: tuple[float, ...]) -> NDArray[np.float64]:
    reach = [int(radius_mm * ROUNDING / size) for size in voxel_size]
    axes = [np.arange(-n, n + 1) * size for n, size in zip(reach, voxel_size, strict=True)]
    places = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])
    held = np.linalg.norm(places, axis=0) <= radius_mm * ROUNDING
    smoothed = _smoothed(reach)
    used = held | (smoothed.ravel() > 0)
    polynomials = _harmonics(places[:, used] / (REACH * radius_mm))
    mean = np.zeros(held.shape)
    aim = polynomials @ smoothed.ravel()[used]
    mean[held] = _even_weights(polynomials[:, held[used]], aim)
    return smoothed - mean.reshape(smoothed.shape)


def squared_distance(weights: NDArray[np.float64], voxel_size: Sequence[float]) -> float:
    """Return what a filter makes of r^2 (mm^2), the same everywhere as it keeps no plane."""
    axes = [(np.arange(n) - n // 2) * s for n, s in zip(weights.shape, voxel_size, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return float((weights * (z**2 + y**2 + x**2)).sum())


def transfer(weights: NDArray[np.float64], shape: Sequence[int], like: Array) -> Array:
    """Return a symmetric filter on the half spectrum of `rfftn` for `shape`, float32."""
    xp = array_module(like)
    kernel = xp.zeros(tuple(shape), xp.float32)
    kernel[tuple(slice(n) for n in weights.shape)] = xp.asarray(weights, dtype=np.float32)
    kernel = xp.roll(kernel, [-(n // 2) for n in weights.shape], (0, 1, 2))
    return fft_module(like).rfftn(kernel).real


def _smoothed(reach: Sequence[int]) -> NDArray[np.float64]:
    weights = np.ones((1, 1, 1))
    for n in reach:
        line = np.pad([SIDE, 1 - 2 * SIDE, SIDE], n - 1)
        weights = weights[..., None] * line
    return weights[0, 0, 0]


def _harmonics(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Harmonic polynomials of even degree (polynomial, voxel) that even weights do not cancel.

    Powers of x cos(a) + y sin(a) + i z are harmonic, and those of enough angles span all.
    """
    z, y, x = places
    found = []
    for degree in range(2, DEGREE + 1, 2):
        for angle in np.arange(degree + 1) * np.pi / (degree + 1):
            square = (x * np.cos(angle) + y * np.sin(angle) + 1j * z) ** 2
            power = square
            for _ in range(degree // 2 - 1):  # far faster than a power of any degree
                power = power * square
            found.append(power.real)
    return np.stack(found)


def _even_weights(
    polynomials: NDArray[np.float64], aim: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the most even weights of sum 1 that make of the polynomials what `aim` says."""
    count = polynomials.shape[1]
    price = EVENNESS * count
    inner = polynomials @ polynomials.T / price + np.eye(len(polynomials))

    def damped(x: NDArray[np.float64]) -> NDArray[np.float64]:
        back = polynomials.T @ np.linalg.solve(inner, polynomials @ x)
        return (x - back / price) / price

    even = np.full(count, 1 / count)
    change = damped(polynomials.T @ (aim - polynomials @ even))
    ones = damped(np.ones(count))
    return even + change - ones * (change.sum() / ones.sum())
