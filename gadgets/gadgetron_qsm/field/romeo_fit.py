"""The field by ROMEO and a weighted linear fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.field.echo_fit import EchoFit, weighted_echo_fit
from gadgetron_qsm.field.echo_offsets import echo_offsets
from gadgetron_qsm.field.romeo import romeo


def romeo_fit(
    echoes: Array,
    echo_times_s: Sequence[float],
    larmor_hz: float,
    _voxel_size: Sequence[float],
    *,
    offset: bool = False,
    largest_misfit_rad: float = 0.3,
) -> EchoFit:
    """Unwrap with `romeo`, take off what echoes are off as a whole, and fit the field.

    echoes (echo, z, y, x) complex; the rest as of `weighted_echo_fit`. Raises ValueError as that.
    """
    xp = array_module(echoes)
    magnitude = xp.abs(echoes)
    phase = romeo(xp.angle(echoes), magnitude, echo_times_s)
    off = echo_offsets(phase, magnitude, echo_times_s, offset=offset)
    for echo, of_echo in enumerate(off):
        phase[echo] -= np.float32(of_echo)
    return weighted_echo_fit(
        phase,
        magnitude,
        echo_times_s,
        larmor_hz,
        offset=offset,
        largest_misfit_rad=largest_misfit_rad,
    )
