"""The field that a distribution of susceptibility adds to B0."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gadgetron_qsm.phantom.sampling import WORKERS, Volume
from gadgetron_qsm.phantom.scan import Triple

PADDING = 2  # times the grid: the images of a periodic convolution lie that far away
COLUMNS = 32  # of the half spectrum, transformed at a time, which bounds the memory
NECK_MM = 60.0  # by which a neck that the field of view cuts goes on below


def total_field(
    chi: Volume, voxel_size: Triple, b0_direction: Triple, *, of_boxes: bool = False
) -> Volume:
    """Convolve susceptibility with the unit dipole, with the Lorentz correction.

    chi (z, y, x) in ppm relative to what surrounds the grid; voxel_size (mm) and the unit vector
    b0_direction are (z, y, x) too. Returns the field (z, y, x) in ppm of B0; its mean over a
    large sphere around the object is 0. What chi samples ends at the voxels' Nyquist frequency, as
    what is scanned does; or, `of_boxes`, it is boxes, and the field the mean over each: strong
    sources with sharp edges, as air, ring through the whole grid otherwise.
    Salomir et al. 2003, doi:10.1002/cmr.b.10083; Marques & Bowtell 2005, doi:10.1002/cmr.b.20034.
    """
    nz, ny, nx = chi.shape
    pz, py, px = (scipy.fft.next_fast_len(PADDING * n, real=True) for n in chi.shape)
    kz, ky, kx = (_frequencies(p, of_boxes) for p in (pz, py, px))
    spectrum = scipy.fft.rfft(chi.astype(np.float32, copy=False), n=px, axis=2, workers=WORKERS)
    # planes of zeros are never transformed: padded and cropped axis by axis
    for first in range(0, spectrum.shape[2], COLUMNS):
        columns = slice(first, min(first + COLUMNS, spectrum.shape[2]))
        part = scipy.fft.fft(spectrum[..., columns], n=py, axis=1, workers=WORKERS)
        part = scipy.fft.fft(part, n=pz, axis=0, workers=WORKERS)
        part *= _dipole(kz, ky, kx[:, columns], voxel_size, b0_direction)
        part = scipy.fft.ifft(part, axis=0, workers=WORKERS, overwrite_x=True)[:nz]
        spectrum[..., columns] = scipy.fft.ifft(part, axis=1, workers=WORKERS)[:, :ny]
    field = scipy.fft.irfft(spectrum, n=px, axis=2, workers=WORKERS)[..., :nx]
    return np.ascontiguousarray(field)


def _frequencies(n: int, of_boxes: bool) -> NDArray[np.float64]:
    """Frequencies (1, k), cycles a voxel, or (alias, k), cycles a half voxel, that fold there."""
    whole = np.fft.fftfreq(n).astype(np.float64)
    if not of_boxes:
        return whole[np.newaxis]
    return np.stack([whole, whole - np.where(whole > 0, 1.0, -1.0)]) / 2.0


def _dipole(
    kz: NDArray[np.float64],
    ky: NDArray[np.float64],
    kx: NDArray[np.float64],
    voxel_size: Triple,
    b0: Triple,
) -> Volume:
    """1/3 - (k . b)^2 / k^2, and 0 at k = 0; with aliases from halves of voxels to their mean.

    Frequencies (alias, k) as `_frequencies` gives them.
    """
    kernel = np.zeros((kz.shape[1], ky.shape[1], kx.shape[1]), np.float32)
    for z, y, x in itertools.product(kz, ky, kx):
        halves = (z[:, None, None], y[None, :, None], x[None, None, :])
        k = [(f / s).astype(np.float32) for f, s in zip(halves, voxel_size, strict=True)]
        square = (k[0] ** 2 + k[1] ** 2) + k[2] ** 2
        along = (np.float32(b0[0]) * k[0] + np.float32(b0[1]) * k[1]) + np.float32(b0[2]) * k[2]
        along *= along
        with np.errstate(invalid="ignore"):
            along /= square
        along -= np.float32(1 / 3)
        along[square == 0] = 0
        if len(kz) > 1:
            share = [(np.cos(np.pi * f) ** 2).astype(np.float32) for f in halves]
            along *= share[0] * share[1] * share[2]
        kernel -= along
    return kernel


def head_field(
    chi: Volume,
    air_ppm: float,
    voxel_size: Triple,
    b0_direction: Triple,
    *,
    of_boxes: bool = False,
) -> Volume:
    """Total field (ppm of B0) of a head in air whose neck leaves the grid at its bottom.

    The neck goes on for NECK_MM as it is there, because a head that ends in air at the edge of
    the field of view would have a field of its own at that face.
    """
    planes = round(NECK_MM / voxel_size[0])
    extended = np.pad(chi - np.float32(air_ppm), ((planes, 0), (0, 0), (0, 0)), mode="edge")
    return total_field(extended, voxel_size, b0_direction, of_boxes=of_boxes)[planes:]
