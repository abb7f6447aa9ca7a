"""Magnitudes (echo, z, y, x) of known R2*."""

from __future__ import annotations

import numpy as np

UNIT_VARIANCE = 0.5**0.5  # deviation of the real part of complex noise of variance 1


def decay(r2star, times_s, size=1.0):
    """Decay exactly, from `size` at TE = 0."""
    return (size * np.exp(-np.multiply.outer(np.asarray(times_s), r2star))).astype(np.float32)


def noisy(r2star, times_s, snr, *, shape=(20, 20, 50), deviation=UNIT_VARIANCE, seed=0):
    """Decay from `snr` in complex noise; `deviation` is that of its real part."""
    signal = decay(np.full(shape, r2star), times_s, snr)
    real, imag = np.random.default_rng(seed).normal(scale=deviation, size=(2, *signal.shape))
    return np.abs(signal + real + 1j * imag).astype(np.float32)
