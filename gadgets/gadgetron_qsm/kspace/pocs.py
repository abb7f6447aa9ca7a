"""Partial Fourier and asymmetric echoes: what was left out, from the symmetry of k-space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module, ndimage_module
from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft

SMALLEST_CENTRE = 8  # lines around k = 0 that give a phase
NEIGHBOURHOOD = 7  # voxels along each axis over which the image's detail is judged
TINY = float(np.finfo(np.float32).tiny)  # where there is no signal

Range = tuple[int, int]
Weights = tuple[Array, Array, Array, Array]


def pocs(
    volume: Array,
    acquired: tuple[Range, Range, Range],
    *,
    iterations: int = 1,
    everywhere: bool = False,
) -> None:
    """Fill what partial Fourier left out of k-space, in place; what was acquired stays.

    volume (..., kz, ky, x) complex64, x an image axis; acquired: (first, stop) along kz, ky and
    kx, all around n//2. Volume by volume of (kz, ky, x), and along the partial axes only:
    the symmetric centre under a Hann window gives an image of low resolution; the detail beyond
    it, turned by that image's phase, is taken as real, so that its k-space is its own mirror
    image. What was acquired on neither side stays zero.
    With `everywhere` this holds in all voxels, in some 8 iterations: projection onto convex sets.
    It wipes out phase that is itself detail, a vein's. By default the mirror image is weighted by
    (R - I) / (R + I), not below 0, with the powers R and I of the real and imaginary part of the
    centre's own detail around a voxel: for uncorrelated parts the weight of the least expected
    error, which is zero filling near veins and in noise. More than one iteration changes little.
    Raises ValueError when a range does not lie around n//2, or by too little to give a phase.
    Haacke et al. 1991, doi:10.1016/0022-2364(91)90253-P.
    """
    shape = volume.shape[-3:]
    partial = [axis for axis, n in enumerate(shape) if tuple(acquired[axis]) != (0, n)]
    reaches = [_reaches("zyx"[axis], shape[axis], acquired[axis]) for axis in partial]
    if all(below == above for below, above in reaches):
        return
    weights = _weights(volume, partial, reaches)
    for index in np.ndindex(volume.shape[:-3]):
        _fill(volume[index], partial, weights, iterations, everywhere)


def _reaches(name: str, n: int, acquired: Range) -> Range:
    """Lines that were acquired below and above k = 0."""
    first, stop = acquired
    if not 0 <= first <= n // 2 < stop <= n:
        raise ValueError(
            f"lines {first} to {stop} of {n} along k{name} do not lie around the centre, {n // 2}"
        )
    below, above = n // 2 - first, stop - 1 - n // 2
    if below != above and 2 * min(below, above) < SMALLEST_CENTRE:
        raise ValueError(
            f"partial Fourier along k{name}: the symmetric centre of {2 * min(below, above)} lines "
            f"is too small to give a phase; {SMALLEST_CENTRE} are needed"
        )
    return below, above


def _fill(
    hybrid: Array,
    partial: Sequence[int],
    weights: Weights,
    iterations: int,
    everywhere: bool,
) -> None:
    """Fill hybrid (kz, ky, x) along the axes `partial`, acquired as `weights` tell."""
    fft = fft_module(hybrid)
    whole = [axis for axis in (0, 1) if axis not in partial]
    kspace = centred_ifft(hybrid, axes=whole) if whole else hybrid
    kspace = centred_fft(kspace, axes=[2]) if 2 in partial else kspace
    kspace = fft.ifftshift(kspace, axes=partial)  # k = 0 first; the image's order is of no account
    came, missing, centre, window = weights
    low = fft.ifftn(kspace * window, axes=partial)
    detail = fft.ifftn(kspace * came, axes=partial) - low
    mirror = _squared_phase(low)
    if not everywhere:
        mirror *= _trust(fft.ifftn(kspace * centre, axes=partial) - low, mirror)
    filled = fft.fftn(mirror * detail.conj(), axes=partial) * missing
    for _ in range(iterations - 1):
        both = detail + fft.ifftn(filled, axes=partial)
        filled = fft.fftn(mirror * both.conj(), axes=partial) * missing
    filled = fft.fftshift(filled - kspace * missing, axes=partial)  # cropping along x leaves some
    filled = centred_ifft(filled, axes=[2]) if 2 in partial else filled
    hybrid += centred_fft(filled, axes=whole) if whole else filled


def _weights(volume: Array, partial: Sequence[int], reaches: Sequence[Range]) -> Weights:
    """Weights of k, 0 first: what came, what only its mirror image, both; Hann's window."""
    xp, fft = array_module(volume), fft_module(volume)
    weights = [xp.ones((1, 1, 1), xp.float32)] * 4
    for axis, (below, above) in zip(partial, reaches, strict=True):
        n = volume.shape[axis - 3]
        k = xp.arange(n) - n // 2
        came, mirrored = (k >= -below) & (k <= above), (k >= -above) & (k <= below)
        hann = xp.cos(np.pi / 2 * k / (min(below, above) + 1)) ** 2 * (came & mirrored)
        shape = [n if i == axis else 1 for i in range(3)]
        lines = (came, mirrored, came & mirrored, hann)
        for i, line in enumerate(lines):
            weights[i] = weights[i] * fft.ifftshift(line).reshape(shape).astype(xp.float32)
    came, mirrored, both, hann = weights
    return came, mirrored * (1 - came), both, hann


def _squared_phase(image: Array) -> Array:
    xp = array_module(image)
    return image * image / xp.maximum(image.real**2 + image.imag**2, TINY)


def _trust(detail: Array, squared_phase: Array) -> Array:
    """How much more of the detail around a voxel is in phase with the image than out of phase.

    The square of what is real once turned by the phase has itself a real part of R - I.
    """
    xp, smooth = array_module(detail), ndimage_module(detail).uniform_filter
    power = detail.real**2 + detail.imag**2
    excess = (detail * detail * squared_phase.conj()).real
    power, excess = (smooth(x, NEIGHBOURHOOD, mode="wrap") for x in (power, excess))
    return xp.clip(excess / xp.maximum(power, TINY), 0, 1)
