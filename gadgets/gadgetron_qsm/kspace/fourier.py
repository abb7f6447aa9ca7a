"""Centred Fourier transforms: k = 0 and the centre of the field of view are sample n//2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    axes = [axis % x.ndim - x.ndim for axis in axes]  # from the last
    of_axes = tuple((axis, x.shape[axis]) for axis in axes)
    before, after = (xp.asarray(_ramps(of_axes, -sign, c, kind)) for c in (0, 1))
    xp.multiply(x, before, out=out)
    spectrum = transform(out, axes=axes, norm="ortho", overwrite_x=True)
    return xp.multiply(spectrum, after, out=out)


@lru_cache(maxsize=8)  # the coils of a scan are transformed one by one, all alike
def _ramps(
    axes: tuple[tuple[int, int], ...], sign: int, centred: int, kind: np.dtype[Any]
) -> NDArray[np.complexfloating]:
    """Phase factors exp(2 pi i c k / n) along each axis, k from 0 or, if `centred`, from -c.

    axes: each, counted from the last, and its size.
    """
    factors = np.ones((), np.complex128)
    for axis, n in axes:
        turns = n // 2 * (np.arange(n) - centred * (n // 2)) / n
        factors = factors * np.exp(sign * 2j * np.pi * turns).reshape((-1, *(1,) * (-1 - axis)))
    ramps = factors.astype(kind)
    ramps.flags.writeable = False
    return ramps


def crop_centre(x: Array, size: int, axis: int) -> Array:
    """Keep `size` samples around sample n//2 of `axis`, which becomes sample size//2."""
    start = x.shape[axis] // 2 - size // 2
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, start + size)
    return x[tuple(index)]
