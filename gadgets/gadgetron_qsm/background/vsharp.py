"""V-SHARP: background removal by the mean value property, with spheres that fit the mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module, ndimage_module
from gadgetron_qsm.grid import good_size, pad_centre, spread, unpad_centre

ROUNDING = 1 + 1e-5  # voxels at just a sphere's radius belong to it


def vsharp(
    field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    *,
    largest_radius_mm: float = 10.0,
    smallest_radius_mm: float | None = None,
    threshold: float = 0.08,
) -> tuple[Array, Array]:
    """Remove the background field with V-SHARP.

    field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm.
    A field whose sources lie outside is harmonic: its mean over a sphere equals its centre, so
    that field minus mean keeps local sources alone. Every voxel takes the largest sphere that
    fits the mask; radii grow from `smallest_radius_mm` (default: the largest voxel side) by that
    side to `largest_radius_mm` or just below. The largest sphere is deconvolved; frequencies that
    it passes by less than `threshold` are dropped.
    Returns the local field (ppm, 0 outside) and the mask it holds in, eroded by the smallest
    radius. Raises ValueError when the mask is empty or no sphere fits it.
    Wu et al. 2012, doi:10.1002/mrm.23000; Li et al. 2011, doi:10.1016/j.neuroimage.2010.11.088.
    """
    xp, fft = array_module(field), fft_module(field)
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    side = max(voxel_size)
    radii = _radii(largest_radius_mm, smallest_radius_mm or side, side)
    margin = [int(np.ceil(radii[0] / size)) + 1 for size in voxel_size]
    padded = [good_size(n + 2 * m) for n, m in zip(field.shape, margin, strict=True)]
    inside = pad_centre(mask, padded)
    depth = ndimage_module(field).distance_transform_edt(inside, sampling=list(voxel_size))
    spectrum = fft.rfftn(pad_centre(xp.where(mask, field, 0).astype(xp.float32), padded))
    sharp = xp.zeros(padded, xp.float32)
    deconvolve = None
    left = inside.copy()
    for radius in radii:
        fits = left & (depth > radius * ROUNDING)
        if not bool(fits.any()):
            continue
        kernel = 1 - fft.rfftn(sphere(padded, radius, voxel_size, like=field)).real
        if deconvolve is None:
            passes = xp.abs(kernel) > threshold
            deconvolve = xp.where(passes, 1 / xp.where(passes, kernel, 1), 0)
        high = fft.irfftn(spectrum * kernel, s=padded)
        sharp = xp.where(fits, high, sharp)
        left &= ~fits
    if deconvolve is None:
        raise ValueError(f"no sphere of {radii[-1]:.2g} mm fits the mask")
    inside &= ~left
    local = fft.irfftn(fft.rfftn(sharp) * deconvolve, s=padded)
    local = xp.where(inside, local, 0).astype(xp.float32)
    return unpad_centre(local, field.shape), unpad_centre(inside, field.shape)


def sphere(shape: Sequence[int], radius: float, voxel_size: Sequence[float], like: Array) -> Array:
    """Return the sphere around voxel 0 (periodic) of `radius` mm that sums to 1, float32."""
    xp = array_module(like)
    square = xp.zeros(shape, xp.float32)
    for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True)):
        square = square + spread(np.fft.fftfreq(n, 1 / n) * size, axis, like) ** 2
    ball = (square <= (radius * ROUNDING) ** 2).astype(xp.float32)
    return ball / ball.sum()


def _radii(largest: float, smallest: float, step: float) -> list[float]:
    if smallest > largest:
        raise ValueError(f"smallest radius {smallest} mm exceeds the largest, {largest} mm")
    count = int((largest - smallest) / step)
    return [smallest + step * i for i in range(count, -1, -1)]
