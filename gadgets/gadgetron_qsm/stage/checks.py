"""Whether the numbers in a stage's files can be what the contract says they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError

ECHOES = ("phase", "magnitude")  # of these there is a volume for each echo
HALF = 0.5
LARGEST_PHASE_RAD = 1000.0  # of unwrapped phase; raw values of scanners go to 2048 or more
TURN_DEG = 360.0
NEAR_DEG = 4.0  # by which noise-free wrapped phase may miss the ends of its range
MOST = 99  # percentile that the next are of: vessels and bleeds may go beyond
# Far above what tissue has, below what Hz, rad/s and ppb give.
LARGEST_PPM = {"totalfield": 20.0, "localfield": 5.0, "chimap": 10.0}

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


def checked(arrays: Mapping[str, NDArray[Any]], echo_count: int) -> Arrays:
    """Return the arrays with finite numbers alone, the mask as bool, the magnitude's largest as 1.

    arrays by the names of their files, (z, y, x) or (echo, z, y, x); echo_count of params.json.
    Voxels that are not finite become 0 outside the mask. Raises QsmError that names the file.
    """
    mask = arrays["mask"] > HALF if "mask" in arrays else None
    if mask is not None and not mask.any():
        raise QsmError("mask.nii.gz is empty")
    known = {name: _finite(name, values, mask) for name, values in arrays.items()}
    if mask is not None:
        known["mask"] = mask
    if "phase" in known:
        _check_counts(known, echo_count)
        _check_phase(known["phase"])
    if "magnitude" in known:
        known["magnitude"] = _magnitude(known["magnitude"])
    for name in LARGEST_PPM.keys() & known:
        _check_ppm(name, known[name] if mask is None else known[name][mask])
    return known


def _finite(name: str, values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    wrong = ~np.isfinite(values)
    if (wrong if mask is None else wrong & mask).any():
        where = ", and there is no mask" if mask is None else " in the mask"
        raise QsmError(f"{name}.nii.gz has voxels that are not finite numbers{where}")
    return np.where(wrong, np.float32(0), values)


def _check_counts(arrays: Mapping[str, NDArray[Any]], echo_count: int) -> None:
    phase, magnitude = (len(arrays[name]) for name in ECHOES)
    if not phase == magnitude == echo_count:
        raise QsmError(
            f"phase.nii.gz has {phase} echoes, magnitude.nii.gz {magnitude}, and params.json "
            f"{echo_count} TE; there must be as many of each"
        )


def _check_phase(phase: NDArray[Any]) -> None:
    least, most = float(phase.min()), float(phase.max())
    if max(-least, most) > LARGEST_PHASE_RAD:
        raise QsmError(f"phase.nii.gz goes to {max(-least, most):.0f}; it must be in rad")
    for start in (-TURN_DEG / 2, 0.0):
        if abs(least - start) < NEAR_DEG and abs(most - start - TURN_DEG) < NEAR_DEG:
            raise QsmError(
                f"phase.nii.gz goes from {least:.0f} to {most:.0f}, as degrees do; "
                "it must be in rad"
            )


def _magnitude(magnitude: NDArray[Any]) -> NDArray[Any]:
    """Return the magnitude scaled, so that its unit is of no matter, without what is below 0."""
    for number, echo in enumerate(magnitude, start=1):
        if not echo.max() > 0:
            which = (
                f"echo {number} of magnitude.nii.gz" if len(magnitude) > 1 else "magnitude.nii.gz"
            )
            raise QsmError(f"{which} is 0 everywhere, or less; leave out what was not measured")
    if magnitude.min() < 0:
        log.warning("magnitude.nii.gz has voxels below 0, as interpolation makes; they count as 0")
    return np.maximum(magnitude / magnitude.max(), 0)


def _check_ppm(name: str, values: NDArray[Any]) -> None:
    size, largest = float(np.percentile(np.abs(values), MOST)), LARGEST_PPM[name]
    if size > largest:
        raise QsmError(
            f"{name}.nii.gz goes beyond {size:.3g}; it must be in ppm (not Hz, rad/s or ppb), "
            f"where {largest:g} is more than tissue has"
        )
