"""Lines that the header announces, refused where no scan can be meant."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.kspace.sampling import encoded_rectangle
from gadgetron_qsm.mrd.header import Header, Limit
from gadgetron_qsm.settings import KSpaceSettings

STEPS = ("kspace_encode_step_2", "kspace_encode_step_1")
MOST_LEFT_OUT = 4  # times as many lines as come: more is no partial Fourier, no low resolution


def announced_lines(
    header: Header, shape: tuple[int, int], settings: KSpaceSettings, journal: Journal
) -> np.ndarray:
    """Return which lines (kz, ky) of a matrix `shape` come; slices take the place of kz.

    Raises QsmError for limits that do not fit the matrix; where incomplete scans are taken, those
    beyond it are warned of.
    """
    limits = [header.limit(step) for step in STEPS]
    if header.slices is not None:
        limits[0] = Limit(0, shape[0] - 1, shape[0] // 2)
    for step, size, limit in zip(STEPS, shape, limits, strict=True):
        told = f"the MRD header has {step} from {limit.minimum} to {limit.maximum}"
        _check(f"{told} about {limit.center}", size, limit, settings, journal)
    ranges = tuple((limit.minimum, limit.maximum, limit.center) for limit in limits)
    return encoded_rectangle(shape, ranges)


def _check(told: str, size: int, limit: Limit, settings: KSpaceSettings, journal: Journal) -> None:
    if not limit.minimum <= limit.center <= limit.maximum:
        raise QsmError(f"{told}, which does not lie between; correct its encodingLimits")
    if (limit.maximum - limit.minimum + 1) * MOST_LEFT_OUT < size:
        raise QsmError(f"{told}, few of the {size} of its matrix; correct one of them")
    before, behind = limit.center - limit.minimum, limit.maximum - limit.center
    if before <= size // 2 and behind <= (size - 1) // 2:
        return
    told = f"{told}, beyond the {size} of its matrix"
    if settings.incomplete == "refuse":
        raise QsmError(f"{told}; correct its encodingLimits, or set kspace.incomplete=warn")
    journal.warn(told)
