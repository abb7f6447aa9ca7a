"""The field that the unwrapped phases of all echoes agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.field.line import FAINT, Line, echo_trust, fit_line
from gadgetron_qsm.field.wraps import wrapped

SECOND_DIFFERENCE = np.float32(6)  # its variance, of unit noise: 1 + 1 + 2 * 2


@dataclass(frozen=True)
class EchoFit:
    """Result of an echo fit, arrays (z, y, x) float32.

    total_field in ppm of B0; noise, its standard deviation in ppm for noise of unit variance in
    the echoes (any scale otherwise); residual, the root mean square of what the line does not
    explain, in rad, echoes weighted by their squared magnitude; with one echo, which a line always
    explains, the noise that would make its phase as rough from voxel to voxel as it is.
    """

    total_field: Array
    noise: Array
    residual: Array


def weighted_echo_fit(
    phase: Array,
    magnitude: Array,
    echo_times_s: Sequence[float],
    larmor_hz: float,
    *,
    offset: bool = False,
    largest_misfit_rad: float = 0.3,
) -> EchoFit:
    """Fit phase = 2 pi f TE, with `offset` also the phase at TE = 0, by weighted least squares.

    phase (echo, z, y, x) in rad, unwrapped; without `offset`, 0 at TE = 0; magnitude alike.
    Echoes weigh by their squared magnitude, as phase noise goes as 1 / magnitude, and less where
    they leave the line of the echoes before by more than noise and `largest_misfit_rad`: a voxel's
    mean field is the slope of its phase at TE = 0, and where the field varies within a voxel, as
    at sinuses and veins, the phase bends away from that.
    Raises ValueError when asked for the offset of a single echo.
    Robinson et al. 2017, doi:10.1002/nbm.3601.
    """
    if offset and len(phase) < 2:
        raise ValueError("the phase offset at TE = 0 cannot be told from a single echo")
    power, scale = relative_power(magnitude)
    trust = echo_trust(phase, power, echo_times_s, largest_misfit_rad, offset=offset)
    line = fit_line(phase, power * trust, echo_times_s, offset=offset)
    return fitted(line, phase, power, echo_times_s, larmor_hz, scale)


def fitted(
    line: Line,
    phase: Array,
    power: Array,
    echo_times_s: Sequence[float],
    larmor_hz: float,
    scale: float,
) -> EchoFit:
    """Return what a line through the echoes says of the field; power times scale^2 is that of
    the magnitude.
    """
    ppm = np.float32(1e6 / (2 * np.pi * larmor_hz))
    return EchoFit(
        total_field=line.slope * ppm,
        noise=ppm * np.float32(np.sqrt(0.5) / scale) / array_module(phase).sqrt(line.information),
        residual=residual(phase, power, echo_times_s, offset=line.weight is not None),
    )


def relative_power(magnitude: Array) -> tuple[Array, float]:
    """Return the squared magnitude, largest 1, and the magnitude that is 1 there."""
    scale = float(magnitude.max()) or 1.0
    return (magnitude / np.float32(scale)) ** 2, scale


def residual(phase: Array, power: Array, echo_times_s: Sequence[float], *, offset: bool) -> Array:
    """Return the residual (z, y, x) in rad, as EchoFit has it, of a line through all echoes."""
    if len(phase) == 1:
        return _roughness(phase[0])
    xp = array_module(phase)
    line = fit_line(phase, power, echo_times_s, offset=offset)
    left = xp.zeros(phase.shape[1:], xp.float32)
    for weight, echo, time_s in zip(power, phase, echo_times_s, strict=True):
        left += weight * (echo - line.at(time_s)) ** 2
    return xp.sqrt(left / xp.maximum(power.sum(axis=0), np.float32(FAINT)))


def _roughness(phase: Array) -> Array:
    """Noise (rad) that second differences of the phase (z, y, x) would come from, wraps apart.

    As reliability in unwrapping: Abdul-Rahman et al. 2007, doi:10.1364/AO.46.006623.
    """
    xp = array_module(phase)
    power = xp.zeros(phase.shape, xp.float32)
    axes = [axis for axis, n in enumerate(phase.shape) if n > 2]
    for axis in axes:
        x = xp.moveaxis(phase, axis, 0)
        bend = wrapped(x[2:] + x[:-2] - 2 * x[1:-1])
        xp.moveaxis(power, axis, 0)[1:-1] += bend**2
    return xp.sqrt(power / (SECOND_DIFFERENCE * max(len(axes), 1)))
