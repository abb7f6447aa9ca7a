"""Thermal noise: of the images, and what is left of it in a susceptibility map.

Regularised inversion passes noise by no formula: where it smooths, noise shrinks and neighbours
share it; at what it takes for edges, and at nuclei, which are dark, noise grows, and as much of it
comes from the magnitude, which says where the edges are, as from the field. So the map is made
again of the same images with as much noise added as they have. That holds for any method, and can
be done once the map has been delivered.

This is what varies from scan to scan if nothing else does. Motion, physiological noise, what is
left of the background field, and errors that are the same in every scan are beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]
Remake = Callable[[NDArray[np.complex64]], tuple[Values, Mask]]

BENDS = 1.6  # independent ones of the three, of variance 6 each and covariance 4, in one voxel
BLUR_MM = 1.5  # SD of the Gaussian over which squared samples are averaged


def image_noise(residual: Values, magnitude: Values, mask: Mask, *, fitted: int = 1) -> float:
    """Return the standard deviation of noise in the real and in the imaginary part of the images.

    residual (z, y, x) in rad: root mean square of what a fit of the phase does not explain, echoes
    weighted by their squared magnitude, as field.echo_fit.EchoFit has it. magnitude
    (echo, z, y, x), whose unit the result has; mask (z, y, x). `fitted`: numbers that the fit found
    in a voxel, 2 when the phase at TE = 0 was one of them. By the median over the mask, so that
    veins and sinuses, which no line explains, have no say.
    Raises ValueError when the mask is empty, or as many numbers were fitted as there are echoes.
    """
    if not mask.any():
        raise ValueError("the mask is empty")
    echoes = len(magnitude)
    if echoes > 1 and echoes <= fitted:
        raise ValueError(f"{fitted} numbers fitted to {echoes} echoes leave no noise to see")
    left, free = (1.0, BENDS) if echoes == 1 else (echoes - fitted, echoes - fitted)
    power = (magnitude[:, mask].astype(np.float64) ** 2).sum(axis=0)
    variance = np.median(power * residual[mask].astype(np.float64) ** 2) / left
    return float(np.sqrt(variance * free / scipy.special.chdtri(free, 0.5)))


def field_noise(
    magnitude: Values, noise: float | Values, echo_times_s: Sequence[float], larmor_hz: float
) -> Values:
    """Return the standard deviation (z, y, x) in ppb of the field that all echoes agree on.

    sigma / (2 pi f0 sqrt(sum m^2 TE^2)), that of phases through 0 at TE = 0 in a weighted fit;
    magnitude (echo, z, y, x), and its noise as `image_noise` has it, or (z, y, x).
    Robinson et al. 2017, doi:10.1002/nbm.3601.
    """
    times = np.asarray(echo_times_s, np.float32)
    slope = np.sqrt(np.tensordot(times**2, magnitude.astype(np.float32) ** 2, axes=1))
    ppb = 1e9 / (2 * np.pi * larmor_hz)
    return (ppb * noise / np.maximum(slope, np.finfo(np.float32).tiny)).astype(np.float32)


def noise_samples(
    echoes: NDArray[np.complex64],
    noise: float | Values,
    remake: Remake,
    *,
    samples: int = 4,
    seed: int = 0,
) -> Values:
    """Return samples (sample, z, y, x) of the noise of chi (ppb), 0 where not all maps hold.

    echoes (echo, z, y, x) with the noise of `image_noise`, a number or (z, y, x), as where a
    g-factor makes it differ. `remake` makes chi (ppb) and its mask of echoes, as the map was made
    of these. A sample is a map less the mean of all, larger by what that takes off its variance;
    the map of the echoes as they are would not do for the mean, as it has less noise.
    Each sample takes as long as the map did. Raises ValueError for less than two.
    """
    if samples < 2:
        raise ValueError(f"{samples} samples tell nothing of noise; take two or more")
    rng = np.random.default_rng(seed)
    found, valid = [], np.ones(echoes.shape[1:], bool)
    for _ in range(samples):
        added = rng.standard_normal((*echoes.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        chi, mask = remake(echoes + added * np.asarray(noise, np.float32))
        found.append(chi)
        valid &= mask
    maps = np.array(found, np.float32)
    maps -= maps.mean(axis=0)
    return np.where(valid, maps * np.float32(np.sqrt(samples / (samples - 1))), np.float32(0))


def deviation(samples: Values, mask: Mask, voxel_size: Sequence[float]) -> NDArray[Any]:
    """Return the standard deviation (z, y, x) of noise, 0 outside the mask, from a few samples.

    samples (sample, z, y, x); their squares are averaged over neighbours in the mask (z, y, x);
    voxel_size (z, y, x) in mm.
    """
    blur = [BLUR_MM / size for size in voxel_size]
    square = np.where(mask, (samples**2).mean(axis=0), 0)
    share = scipy.ndimage.gaussian_filter(mask.astype(np.float32), blur)
    mean = scipy.ndimage.gaussian_filter(square, blur) / np.maximum(share, 1e-6)
    return np.where(mask, np.sqrt(mean), 0).astype(np.float32)
