"""Centred Fourier transforms: k = 0 and the centre of the field of view are sample n//2."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, fft_module


def centred_ifft(kspace: Array, axes: Sequence[int]) -> Array:
    """Transform k-space to image along `axes`, unitary, for odd and even sizes."""
    fft = fft_module(kspace)
    shifted = fft.ifftshift(kspace, axes=axes)
    return fft.fftshift(fft.ifftn(shifted, axes=axes, norm="ortho"), axes=axes)


def centred_fft(image: Array, axes: Sequence[int]) -> Array:
    """Transform image to k-space along `axes`; undoes `centred_ifft`."""
    fft = fft_module(image)
    shifted = fft.ifftshift(image, axes=axes)
    return fft.fftshift(fft.fftn(shifted, axes=axes, norm="ortho"), axes=axes)


def crop_centre(x: Array, size: int, axis: int) -> Array:
    """Keep `size` samples around sample n//2 of `axis`, which becomes sample size//2."""
    start = x.shape[axis] // 2 - size // 2
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, start + size)
    return x[tuple(index)]
