"""Centred Fourier transforms: k = 0 and the centre of the field of view are sample n//2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, fft_module


def centred_ifft(kspace: Array, axes: Sequence[int], *, overwrite: bool = False) -> Array:
    """Transform k-space to image along `axes`, unitary, for odd and even sizes.

    With `overwrite` the image takes the place of a complex k-space, and is that array.
    """
    return _centred(kspace, axes, fft_module(kspace).ifftn, 1, overwrite)


def centred_fft(image: Array, axes: Sequence[int], *, overwrite: bool = False) -> Array:
    """Transform image to k-space along `axes`; undoes `centred_ifft`."""
    return _centred(image, axes, fft_module(image).fftn, -1, overwrite)


def _centred(
    x: Array, axes: Sequence[int], transform: Callable[..., Array], sign: int, overwrite: bool
) -> Array:
    """Turn samples' phases before and after `transform`, which costs less than to shift them.

    With c = n//2, (j - c)(k - c) = j k - c k - c (j - c): one ramp on either side.
    """
    xp = array_module(x)
    kind = np.result_type(x.dtype, np.complex64)
    out = x if overwrite and x.dtype == kind else xp.empty(x.shape, kind)
    axes = [axis % x.ndim - x.ndim for axis in axes]  # from the last, the same in every slab
    before = xp.asarray(_ramps(x.shape, axes, -sign, 0).astype(kind))
    after = xp.asarray(_ramps(x.shape, axes, -sign, 1).astype(kind))
    xp.multiply(x, before, out=out)
    spectrum = transform(out, axes=axes, norm="ortho", overwrite_x=True)
    return xp.multiply(spectrum, after, out=out)


def _ramps(shape: Sequence[int], axes: Sequence[int], sign: int, centred: int) -> Array:
    """Phase factors exp(2 pi i c k / n) along each axis, k from 0 or, if `centred`, from -c."""
    factors = np.ones((), np.complex128)
    for axis in axes:
        n, c = shape[axis], shape[axis] // 2
        turns = c * (np.arange(n) - centred * c) / n
        factors = factors * np.exp(sign * 2j * np.pi * turns).reshape((-1, *(1,) * (-1 - axis)))
    return factors


def crop_centre(x: Array, size: int, axis: int) -> Array:
    """Keep `size` samples around sample n//2 of `axis`, which becomes sample size//2."""
    start = x.shape[axis] // 2 - size // 2
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, start + size)
    return x[tuple(index)]
