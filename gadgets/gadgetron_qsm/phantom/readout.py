"""How a line of k-space becomes the samples of a readout: direction, partial echo, discards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.phantom.offsets import Quadratic
from gadgetron_qsm.phantom.protocol import Readout
from gadgetron_qsm.phantom.scan import READOUT_OVERSAMPLING, Scan


@dataclass(frozen=True)
class ReadoutShape:
    """Samples as acquired, discards included; k = 0 is sample `center` of them."""

    samples: int
    center: int
    discard: tuple[int, int]


def full_samples(nx: int) -> int:
    """Samples of a whole readout for nx voxels."""
    return READOUT_OVERSAMPLING * nx


def missing_samples(readout: Readout, nx: int) -> int:
    """Samples on the -kx side that an asymmetric echo leaves out."""
    full = full_samples(nx)
    return min(full - round(full * readout.echo_fraction), full // 2)


def readout_shape(readout: Readout, nx: int, echo: int) -> ReadoutShape:
    """Shape of the readouts of one echo.

    k = 0 is sample n//2 of a whole readout in either direction, as acquired.
    """
    missing, (before, after) = missing_samples(readout, nx), readout.discard
    early = 0 if readout.is_backward(echo) else missing
    samples = full_samples(nx) - missing
    center = full_samples(nx) // 2 - early + before
    return ReadoutShape(before + samples + after, center, readout.discard)


def k_samples(readout: Readout, nx: int, echo: int) -> int:
    """Samples around k = 0 from which `as_acquired` takes a readout: backward, one more at +kx."""
    return full_samples(nx) + readout.is_backward(echo)


def as_acquired(readout: Readout, lines: NDArray[np.complex64], echo: int) -> NDArray[np.complex64]:
    """Samples (..., sample) of an echo in the order of acquisition, from `k_samples` of them.

    Both directions cover the same part of k-space but for its very ends: a backward readout
    begins at +kx, where a forward one of an even number of samples does not come to.
    """
    missing = missing_samples(readout, lines.shape[-1] // READOUT_OVERSAMPLING)
    if readout.is_backward(echo):
        return lines[..., :missing:-1]
    return lines[..., missing:]


def with_discards(
    readout: Readout, lines: NDArray[np.complex64], rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Add samples that say nothing before and after each line."""
    if not any(readout.discard):
        return lines
    loud = 10 * np.abs(lines).max(initial=0)
    before, after = (
        (loud * rng.standard_normal((*lines.shape[:-1], count, 2))).view(np.complex128)[..., 0]
        for count in readout.discard
    )
    return np.concatenate([before, lines, after], axis=-1).astype(np.complex64)


def readout_phase(scan: Scan, echo: int) -> Quadratic:
    """Phase (rad) that gradient delay and eddy currents add to one echo.

    A delay of d samples turns the phase by 2 pi d over the oversampled field of view.
    Li et al. 2015, doi:10.1007/s10334-014-0470-3.
    """
    readout, sign = scan.readout, -1 if scan.readout.is_backward(echo) else 1
    share = sign / 2 if readout.bipolar else 0
    z, y, x = (share * radians for radians in readout.odd_even_linear_rad)
    x += sign * 2 * np.pi * readout.delay_us / scan.sample_time_us / READOUT_OVERSAMPLING
    coefficients = np.zeros(10)
    coefficients[:4] = share * readout.odd_even_rad, z / 2, y / 2, x / 2  # the field of view is 2
    return Quadratic(coefficients)
