"""What an echo's phase is off as a whole, as by eddy currents or a drift of the scanner."""

from __future__ import annotations

from collections.abc import Sequence

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.field.echo_fit import relative_power
from gadgetron_qsm.field.line import MOST_PLANES, bright, fit_line


def echo_offsets(
    phase: Array, magnitude: Array, echo_times_s: Sequence[float], *, offset: bool = False
) -> list[float]:
    """Find the phase of every echo that no field explains, nor, with `offset`, a phase at TE = 0.

    phase (echo, z, y, x) in rad, unwrapped; magnitude alike. Each is the median, over the bright
    voxels, of what the voxels' lines leave of that echo; what grows as the echo time is a field of
    its own, and stays. Returns rad, to be taken off the echoes; all 0 when there are not more
    echoes than the line has unknowns, or no signal.
    """
    xp = array_module(phase)
    step = -(-phase.shape[1] // MOST_PLANES)
    power, _ = relative_power(magnitude[:, ::step])
    sure = bright(power[0])
    if len(phase) < 2 + offset or not bool(sure.any()):
        return [0.0] * len(phase)
    seen = phase[:, ::step][:, sure][:, None, None]
    line = fit_line(seen, power[:, sure][:, None, None], echo_times_s, offset=offset)
    medians = [
        xp.median(echo - line.at(time_s)) for echo, time_s in zip(seen, echo_times_s, strict=True)
    ]
    found: list[float] = xp.stack(medians).tolist()
    return found
