"""The field that the unwrapped phases of all echoes agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module

SECOND_DIFFERENCE = np.float32(6)  # its variance, of unit noise: 1 + 1 + 2 * 2


@dataclass(frozen=True)
class EchoFit:
    """Result of an echo fit, arrays (z, y, x) float32.

    total_field in ppm of B0; noise, its standard deviation in ppm for noise of unit variance in
    the echoes (any scale otherwise); residual, the magnitude-weighted root mean square of what
    the line does not explain, in rad; with one echo, which a line always explains, the noise that
    would make its phase as rough from voxel to voxel as it is.
    """

    total_field: Array
    noise: Array
    residual: Array


def weighted_echo_fit(
    phase: Array, magnitude: Array, echo_times_s: Sequence[float], larmor_hz: float
) -> EchoFit:
    """Fit phase = 2 pi f TE through 0 at TE = 0, weighted by the squared magnitude.

    phase (echo, z, y, x) in rad, unwrapped, free of the offset at TE = 0; magnitude alike.
    The phase noise of an echo goes as 1 / magnitude, which makes this the best linear estimate.
    Robinson et al. 2017, doi:10.1002/nbm.3601.
    """
    xp = array_module(phase)
    times = xp.asarray(echo_times_s, dtype=xp.float32)[:, None, None, None]
    weight = magnitude * magnitude
    information = xp.maximum((weight * times**2).sum(axis=0), xp.finfo(xp.float32).tiny)
    slope = (weight * times * phase).sum(axis=0) / information  # rad/s
    ppm = np.float32(1e6 / (2 * np.pi * larmor_hz))
    return EchoFit(
        total_field=slope * ppm,
        noise=ppm * np.float32(np.sqrt(0.5)) / xp.sqrt(information),
        residual=_residual(phase, slope * times, weight)
        if len(phase) > 1
        else _roughness(phase[0]),
    )


def _residual(phase: Array, line: Array, weight: Array) -> Array:
    xp = array_module(phase)
    power = xp.maximum(weight.sum(axis=0), xp.finfo(xp.float32).tiny)
    return xp.sqrt((weight * (phase - line) ** 2).sum(axis=0) / power)


def _roughness(phase: Array) -> Array:
    """Noise (rad) that second differences of the phase (z, y, x) would come from, wraps apart.

    As reliability in unwrapping: Abdul-Rahman et al. 2007, doi:10.1364/AO.46.006623.
    """
    xp = array_module(phase)
    power = xp.zeros(phase.shape, xp.float32)
    axes = [axis for axis, n in enumerate(phase.shape) if n > 2]
    for axis in axes:
        x = xp.moveaxis(phase, axis, 0)
        bend = x[2:] + x[:-2] - 2 * x[1:-1]
        bend -= np.float32(2 * np.pi) * xp.round(bend / np.float32(2 * np.pi))
        xp.moveaxis(power, axis, 0)[1:-1] += bend**2
    return xp.sqrt(power / (SECOND_DIFFERENCE * max(len(axes), 1)))
