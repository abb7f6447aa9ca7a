"""Hybrid space of a few points and of a head, and the lines of a lattice that a scan takes."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.kspace.fourier import centred_fft

SHAPE, CENTRE = (26, 27), (18, 16)  # kz, ky


def points(shape, *, coils=5, echoes=1, samples=3, count=3, seed=0):
    """Hybrid space (echo, coil, kz, ky, x) of a few points; each coil sees each its own way."""
    rng = np.random.default_rng(seed)
    seen = rng.standard_normal((echoes, coils, count, 2)) @ (1, 1j)
    waves = [
        np.exp(2j * np.pi * np.outer(np.arange(n), rng.permutation(n)[np.arange(count) % n]) / n)
        for n in shape
    ]
    plane = np.einsum("ecp,zp,yp->eczy", seen, *waves)
    along_x = np.exp(0.3j * np.arange(samples))
    return (plane[..., None] * along_x).astype(np.complex64)


def head(shape=(30, 36, 12), coils=8, echoes=2):
    """Hybrid space of an ellipsoid with contrast, seen by coils around it."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    object_ = (z**2 + y**2 + x**2 / 2 < 0.6) * (1 + 0.3 * np.cos(4 * y + z) * np.sin(5 * x + z))
    angles = 2 * np.pi * np.arange(coils) / coils
    seen = [
        np.exp(-((z - np.cos(a)) ** 2) - (y - np.sin(a)) ** 2 - 1j * (a + x + z * y))
        for a in angles
    ]
    echo = [np.exp(1j * e * (y + z)) * np.exp(-0.2 * e) for e in range(echoes)]
    images = object_ * np.array(seen) * np.array(echo)[:, None]
    return centred_fft(images.astype(np.complex64), axes=[2, 3])


def block(shape, size):
    firsts = [n // 2 - s // 2 for n, s in zip(shape, size, strict=True)]
    return tuple(slice(first, first + s) for first, s in zip(firsts, size, strict=True))


def pattern(lattice, shape=SHAPE, centre=CENTRE):
    sampled = lattice.lines(shape)
    sampled[block(shape, np.minimum(centre, shape))] = True
    return sampled
