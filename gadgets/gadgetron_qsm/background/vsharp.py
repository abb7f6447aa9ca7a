"""V-SHARP: background removal by the mean value property, with spheres that fit the mask."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.background.sphere import ROUNDING, fits, less_mean
from gadgetron_qsm.distance import depth
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import filtered, from_half_spectra, half_spectra


def vsharp(
    field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    *,
    largest_radius_mm: float = 12.0,
    smallest_radius_mm: float | None = None,
    threshold: float = 0.05,
) -> tuple[Array, Array]:
    """Remove the background field with V-SHARP.

    field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm.
    A field whose sources lie outside is harmonic: its mean over a sphere equals its centre, so
    that field minus mean keeps local sources alone. Every voxel takes the largest sphere that
    fits the mask; radii grow from `smallest_radius_mm` (default: the largest voxel side) by the
    largest voxel side to `largest_radius_mm` or just below. The largest sphere is deconvolved;
    frequencies that it passes by less than `threshold` are dropped.
    One transform pair a radius, and one and a half.
    Returns the local field (ppm, 0 outside) and the mask it holds in, eroded by the smallest
    radius. Raises ValueError when the mask is empty or no sphere fits it.
    Wu et al. 2012, doi:10.1002/mrm.23000; Li et al. 2011, doi:10.1016/j.neuroimage.2010.11.088.
    """
    xp = array_module(field)
    side = max(voxel_size)
    radii = _radii(largest_radius_mm, smallest_radius_mm or side, side)
    domain = Domain.around(mask, voxel_size, padding_mm=2 * (radii[0] + side))
    deep = depth(domain.embed(mask) > 0, voxel_size, radii[0] * ROUNDING)
    spectrum = half_spectra(domain.embed(field))
    sharp = xp.zeros(domain.shape, xp.float32)
    deconvolve = None
    left = deep > 0
    deepest = float(deep.max())
    for radius in radii:
        if not fits(deepest, radius):
            continue
        fitting = left & fits(deep, radius)
        kernel = less_mean(domain.shape, radius, voxel_size, like=field)
        if deconvolve is None:
            passes = xp.abs(kernel) > threshold
            deconvolve = xp.where(passes, 1 / xp.where(passes, kernel, 1), 0)
        high = from_half_spectra(spectrum * kernel, domain.shape)
        sharp = xp.where(fitting, high, sharp)
        left &= ~fitting
    if deconvolve is None:
        raise ValueError(f"no sphere of {radii[-1]:.2g} mm fits the mask")
    inside = (deep > 0) & ~left
    local = filtered(sharp, deconvolve)
    return domain.extract(xp.where(inside, local, 0)), domain.extract(inside) > 0


def _radii(largest: float, smallest: float, step: float) -> list[float]:
    if smallest > largest:
        raise ValueError(f"smallest radius {smallest} mm exceeds the largest, {largest} mm")
    count = int((largest - smallest) / step)
    return [smallest + step * i for i in range(count, -1, -1)]
