"""Gaussian smoothing in mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module
from gadgetron_qsm.grid import good_size, pad_centre, spread, unpad_centre

FAINT = np.float32(1e-3)  # share of mask under a Gaussian that counts as much as what is far
REACH = 4.0  # standard deviations of zeros around the image, beyond which nothing is left


def gaussian(image: Array, voxel_size: Sequence[float], sigma_mm: float) -> Array:
    """Convolve with a Gaussian of standard deviation `sigma_mm`, with zeros around the image.

    image (z, y, x) real or bool; voxel_size (z, y, x) in mm. Returns (z, y, x) float32.
    One transform pair, whatever the width.
    """
    xp, fft = array_module(image), fft_module(image)
    shape = [
        good_size(n + int(np.ceil(REACH * sigma_mm / size)))
        for n, size in zip(image.shape, voxel_size, strict=True)
    ]
    spectrum = fft.rfftn(pad_centre(image.astype(xp.float32), shape))
    for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True)):
        k = np.fft.rfftfreq(n, size) if axis == 2 else np.fft.fftfreq(n, size)
        spectrum *= spread(np.exp(-2 * (np.pi * sigma_mm * k) ** 2), axis, image)
    return unpad_centre(fft.irfftn(spectrum, s=shape), image.shape)


def gaussian_mean(
    image: Array,
    mask: Array,
    voxel_size: Sequence[float],
    sigma_mm: float,
    *,
    far: float = 0.0,
    weight: Array | None = None,
) -> Array:
    """Weighted mean over the voxels of a mask, the weights a Gaussian around each voxel.

    As `gaussian`; mask (z, y, x) bool; far from all of it the mean becomes `far`. `weight`: that of
    the same mask, of which `gaussian` is made once for several images.
    """
    xp = array_module(image)
    mean = gaussian(xp.where(mask, image, 0), voxel_size, sigma_mm)
    if weight is None:
        weight = gaussian(mask, voxel_size, sigma_mm)
    mean += FAINT * np.float32(far)
    mean /= xp.maximum(weight, 0) + FAINT
    return mean
