"""Readouts of an object, made by a dense transform."""

from __future__ import annotations

import numpy as np
import pytest


def dense(n, places, offsets):
    """Matrix (k, image) of the unitary transform over `n` points, k `offsets` from the centre."""
    return np.exp(-2j * np.pi * np.outer(offsets, places) / n) / np.sqrt(n)


@pytest.fixture
def read_out():
    """Return a function: image (coil, z, y, x) to readouts (kz, ky, coil, sample).

    The readout axis is `matrix` points wide, of which the image fills the middle; `samples` are
    taken from `center` samples before k = 0 on.
    """

    def read_out(image, matrix, samples, center):
        _, nz, ny, nx = image.shape
        z, y, x = (np.arange(n) - n // 2 for n in (nz, ny, nx))
        lines = np.einsum(
            "Zz,Yy,Xx,czyx->ZYcX",
            *(dense(nz, z, z), dense(ny, y, y), dense(matrix, x, np.arange(samples) - center)),
            image,
            optimize=True,
        )
        return lines.astype(np.complex64)

    return read_out


@pytest.fixture
def image():
    """Return a function that makes a random complex image of a shape."""

    def image(*shape):
        real, imag = np.random.default_rng(0).standard_normal((2, *shape))
        return (real + 1j * imag).astype(np.complex64)

    return image
