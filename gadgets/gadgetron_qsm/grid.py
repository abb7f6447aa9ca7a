"""Grids for Fourier methods: padding, good sizes, frequencies, the dipole kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft

from gadgetron_qsm.arrays import Array, array_module, fft_module

VOLUME = (-3, -2, -1)


def good_size(n: int) -> int:
    """Return the smallest even size from `n` on that transforms fast."""
    size = scipy.fft.next_fast_len(n, real=True)
    while size % 2:
        size = scipy.fft.next_fast_len(size + 1, real=True)
    return int(size)


def pad_centre(x: Array, shape: Sequence[int]) -> Array:
    """Embed `x` in zeros of `shape`; its first voxel goes to (shape - x.shape) // 2."""
    xp = array_module(x)
    padded = xp.zeros(tuple(shape), x.dtype)
    padded[_window(x.shape, shape)] = x
    return padded


def unpad_centre(x: Array, shape: Sequence[int]) -> Array:
    """Undo `pad_centre`: take the window of `shape` out of `x`."""
    return array_module(x).ascontiguousarray(x[_window(shape, x.shape)])


def half_spectra(x: Array) -> Array:
    """Return the half spectra of `rfftn` of volumes (..., z, y, x)."""
    return fft_module(x).rfftn(x, axes=VOLUME)


def from_half_spectra(spectra: Array, shape: Sequence[int], *, divide: bool = True) -> Array:
    """Undo `half_spectra`, overwriting the spectra; without `divide` times the number of voxels.

    On the CPU two thirds of the time of `irfftn`, whose transform of all axes but the last is out
    of place. On a device division is a pass of its own.
    """
    fft, volume = fft_module(spectra), tuple(shape)
    how: dict[str, Any] = {"norm": "backward" if divide else "forward", "overwrite_x": True}
    if array_module(spectra) is np:
        lines = fft.ifftn(spectra, axes=VOLUME[:-1], **how)
        return fft.irfft(lines, n=volume[-1], **how)
    return fft.irfftn(spectra, s=volume, axes=VOLUME, **how)


def filtered(x: Array, kernel: Array) -> Array:
    """Return x (z, y, x) with its half spectrum multiplied by a kernel."""
    spectrum = half_spectra(x)
    spectrum *= kernel
    return from_half_spectra(spectrum, x.shape)


def spread(values: np.ndarray, axis: int, like: Array) -> Array:
    """Return one value per index of `axis`, float32, in a shape that broadcasts over (z, y, x)."""
    shape = [-1 if a == axis else 1 for a in range(3)]
    return array_module(like).asarray(values, dtype=np.float32).reshape(shape)


def dipole_kernel(
    shape: Sequence[int], voxel_size: Sequence[float], b0_direction: Sequence[float], like: Array
) -> Array:
    """Return the unit dipole field in k-space on the half spectrum of `rfftn`, float32.

    D(k) = 1/3 - (k.b)^2 / |k|^2 with k in 1/mm and D(0) = 0 (the mean field is not defined);
    voxel_size (z, y, x) in mm, b0_direction a unit vector (z, y, x). Field = D chi, both in ppm.
    Salomir et al. 2003, doi:10.1002/cmr.b.10083; Marques and Bowtell 2005, doi:10.1002/cmr.b.20034.
    """
    xp = array_module(like)
    square = xp.zeros((1, 1, 1), xp.float32)
    along = xp.zeros((1, 1, 1), xp.float32)
    for axis, (n, size, b) in enumerate(zip(shape, voxel_size, b0_direction, strict=True)):
        frequencies = np.fft.rfftfreq(n, size) if axis == 2 else np.fft.fftfreq(n, size)
        k = spread(frequencies, axis, like)
        square = square + k**2
        along = along + k * np.float32(b)
    square[0, 0, 0] = 1
    kernel = np.float32(1 / 3) - along**2 / square
    kernel[0, 0, 0] = 0
    return kernel


def of_real_fields(kernel: Array, columns: int) -> Array:
    """Return a real kernel on the half spectrum as one that makes spectra of real fields of such.

    Frequencies that the half spectrum holds beside their opposites, with an even number of columns
    (x) also the highest, have the mean of both; the dipole differs between the two where an axis
    is at its highest frequency.
    """
    made = kernel.copy()
    ends = made[..., :1] if columns % 2 else made[..., :: columns // 2]
    ends[...] = (ends + array_module(kernel).roll(ends[::-1, ::-1], 1, axis=(0, 1))) / 2
    return made


def _window(inner: Sequence[int], outer: Sequence[int]) -> tuple[slice, ...]:
    starts = [(big - small) // 2 for small, big in zip(inner, outer, strict=True)]
    return tuple(slice(s, s + n) for s, n in zip(starts, inner, strict=True))
