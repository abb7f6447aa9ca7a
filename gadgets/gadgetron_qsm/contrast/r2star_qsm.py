"""R2*QSM: chi+ and chi- of each voxel from its susceptibility and its R2*."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module

CALIBRATED_T = 3.0  # field strength at which relaxivities are stated


def r2star_qsm(
    local_field: Array,  # noqa: ARG001 - a separation's arguments; chi says it all
    rate: Array,
    mask: Array,
    voxel_size: Sequence[float],  # noqa: ARG001
    b0_direction: Sequence[float],  # noqa: ARG001
    *,
    chi: Array,
    field_strength_t: float,
    relaxivity_positive: float = 274.0,
    relaxivity_negative: float = 274.0,
    r2_hz: float = 0.0,
) -> tuple[Array, Array]:
    """Separate sources voxel by voxel, in closed form; gradient echoes are enough.

    Solves chi = chi+ + chi- and rate = r2_hz + D+ |chi+| + D- |chi-|. A rate too small for its
    chi makes a source pure: the two always add up to chi, which the field has measured.
    rate (z, y, x): R2* in 1/s at `field_strength_t`; chi (z, y, x) in ppm, inverted from
    local_field, whose 0 must be that of tissue without sources (CSF, see reference.py).
    Relaxivities in 1/s per ppm at 3 T, proportional to the field strength; r2_hz in 1/s as it
    comes, the part of the rate that sources have nothing to do with.
    Returns chi+ (0 or more) and chi- (0 or less) in ppm, (z, y, x) float32, 0 outside the mask.
    Raises ValueError when the mask is empty and for a relaxivity or field strength of 0 or less.
    Dimov et al. 2022, doi:10.3390/tomography8030127; theory: Yablonskiy and Haacke 1994,
    doi:10.1002/mrm.1910320610.
    """
    xp = array_module(chi)
    if not bool(mask.any()):
        raise ValueError("the mask is empty")
    positive, negative = relaxivities(field_strength_t, relaxivity_positive, relaxivity_negative)
    caused = xp.maximum(rate - np.float32(r2_hz), 0)
    paramagnetic = (caused + negative * chi) / (positive + negative)
    paramagnetic = xp.maximum(xp.maximum(paramagnetic, chi), 0)
    both = (paramagnetic, xp.minimum(chi - paramagnetic, 0))
    return tuple(xp.where(mask, part, 0).astype(xp.float32) for part in both)


def relaxivities(
    field_strength_t: float, positive: float, negative: float
) -> tuple[np.float32, np.float32]:
    """Scale relaxivities of 3 T (1/s per ppm) to a field strength.

    Raises ValueError when any of them is not above 0.
    """
    if not min(field_strength_t, positive, negative) > 0:
        raise ValueError(
            "field strength and relaxivities must be above 0, and they are "
            f"{field_strength_t:g} T, {positive:g} and {negative:g} 1/s per ppm"
        )
    scale = field_strength_t / CALIBRATED_T
    return np.float32(positive * scale), np.float32(negative * scale)
