"""The field by Laplacian unwrapping of all echoes at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.field.echo_fit import EchoFit, relative_power, residual
from gadgetron_qsm.field.edges import mean_of_edges
from gadgetron_qsm.field.laplacian import from_steps
from gadgetron_qsm.field.line import FAINT, echo_trust, fit_line, follow
from gadgetron_qsm.field.wraps import wrapped


def laplacian_fit(
    echoes: Array,
    echo_times_s: Sequence[float],
    larmor_hz: float,
    voxel_size: Sequence[float],
    *,
    largest_misfit_rad: float = 0.3,
) -> EchoFit:
    """Fit the echoes edge by edge, then find the field in one Laplacian unwrapping.

    echoes (echo, z, y, x) complex; voxel_size (z, y, x) in mm. The steps of the phase between
    neighbours are fitted over the echoes as `weighted_echo_fit` does with phases, wraps in time
    resolved; the field is what has these steps. That resolves wraps in space but once, at the
    first echo, where unwrapping every echo would fail where later ones wrap between voxels.
    No path is grown: it is fast, but the field is right only up to one that is harmonic in the
    object, which background removal takes off; its mean over the grid is 0. The residual is that
    of the steps, over sqrt 2.
    Schofield and Zhu 2003, doi:10.1364/OL.28.001194.
    """
    xp = array_module(echoes)
    phase, (power, scale) = xp.angle(echoes), relative_power(xp.abs(echoes))
    slopes, residuals = [], []
    for axis in range(1, 4):
        steps = wrapped(xp.diff(phase, axis=axis))
        near, far = _without(power, axis, last=True), _without(power, axis, last=False)
        weight = near * far / xp.maximum(near + far, np.float32(FAINT))
        follow(steps, weight, echo_times_s, offset=False)
        trust = echo_trust(steps, weight, echo_times_s, largest_misfit_rad, offset=False)
        slopes.append(fit_line(steps, weight * trust, echo_times_s, offset=False).slope)
        residuals.append(residual(steps, weight, echo_times_s, offset=False) ** 2)
    ppm = np.float32(1e6 / (2 * np.pi * larmor_hz))
    information = fit_line(phase, power, echo_times_s, offset=False).information
    return EchoFit(
        total_field=from_steps(slopes, voxel_size) * ppm,
        noise=ppm * np.float32(np.sqrt(0.5) / scale) / xp.sqrt(information),
        residual=xp.sqrt(mean_of_edges(residuals) / 2)
        if len(echoes) > 1
        else residual(phase, power, echo_times_s, offset=False),
    )


def _without(volumes: Array, axis: int, *, last: bool) -> Array:
    """Leave out the last or the first voxel along an axis."""
    return volumes[(slice(None),) * axis + (slice(None, -1) if last else slice(1, None),)]
