"""Brightness of the head: what is background, and what the coils' shading makes of the rest."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module, ndimage_module

HISTOGRAM_BINS = 256
REACH = 3.0  # standard deviations at which a Gaussian ends
FINE = 4  # blocks per standard deviation
LEAST_SHARE = 1e-4  # of tissue under a Gaussian, for a mean to be taken


def otsu(image: Array) -> float:
    """Threshold that separates the histogram of `image` into two classes best.

    Of thresholds that do so equally, with nothing between the classes, the middle.
    Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    xp = array_module(image)
    top = max(float(image.max()), 1e-30)
    edges = xp.linspace(0.0, top, HISTOGRAM_BINS + 1)
    # numpy's histogram takes several times as long to put values at the edges right
    bins = xp.clip(image * (HISTOGRAM_BINS / top), 0, HISTOGRAM_BINS - 1).astype(xp.int32)
    counts = xp.bincount(bins.ravel(), minlength=HISTOGRAM_BINS).astype(xp.float64)
    centres = (edges[:-1] + edges[1:]) / 2
    below = xp.cumsum(counts)
    above = below[-1] - below
    sums = xp.cumsum(counts * centres)
    low = sums / xp.maximum(below, 1)
    high = (sums[-1] - sums) / xp.maximum(above, 1)
    between = below * above * (low - high) ** 2
    return float(edges[1:][between == between.max()].mean())


def head(magnitude: Array) -> Array:
    """Voxels (z, y, x) that signal: above half of Otsu's threshold, as coils shade the middle."""
    return magnitude > otsu(magnitude) / 2


def local_brightness(
    magnitude: Array, tissue: Array, voxel_size: Sequence[float], width_mm: float
) -> Array:
    """Mean magnitude (z, y, x) of `tissue` under a Gaussian of standard deviation `width_mm`.

    Computed in blocks of up to a quarter of that. float32; where no tissue is near, that of the
    brightest there is.
    """
    xp, ndimage = array_module(magnitude), ndimage_module(magnitude)
    parts = blocks(magnitude.shape, voxel_size, width_mm / FINE)
    sides = [n * size for n, size in zip(parts, voxel_size, strict=True)]
    sigma = [width_mm / side for side in sides]

    def blur(values: Array) -> Array:
        return ndimage.gaussian_filter(in_blocks(values, parts), sigma, truncate=REACH)

    share, total = blur(tissue), blur(xp.where(tissue, magnitude, 0))
    near = share > LEAST_SHARE
    mean = xp.where(near, total / xp.where(near, share, 1), 0)
    mean = xp.where(near, mean, mean.max())
    for axis, (n, part) in enumerate(zip(magnitude.shape, parts, strict=True)):
        mean = mean.take(xp.minimum(xp.arange(n) // part, mean.shape[axis] - 1), axis=axis)
    return mean


def blocks(shape: Sequence[int], voxel_size: Sequence[float], side_mm: float) -> list[int]:
    """How many voxels (z, y, x) make a block with sides of about `side_mm`, or a voxel's."""
    return [
        min(max(1, round(side_mm / size)), n) for n, size in zip(shape, voxel_size, strict=True)
    ]


def in_blocks(values: Array, parts: Sequence[int]) -> Array:
    """Mean over blocks of voxels, float32; a rest that fills no block is left out."""
    xp = array_module(values)
    counts = [n // part for n, part in zip(values.shape, parts, strict=True)]
    whole = values[tuple(slice(n * part) for n, part in zip(counts, parts, strict=True))]
    sides = [n for pair in zip(counts, parts, strict=True) for n in pair]
    return whole.reshape(sides).mean(axis=(1, 3, 5), dtype=xp.float32)
