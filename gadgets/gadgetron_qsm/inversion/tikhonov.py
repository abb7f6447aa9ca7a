"""Closed-form inversion under a quadratic penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, filtered
from gadgetron_qsm.inversion.dipole import point_value
from gadgetron_qsm.inversion.gradient import scales, squared_spectrum


def tikhonov(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    regularisation: float = 4e-3,
    penalty: Literal["identity", "gradient"] = "identity",
    correct: bool = True,
    padding_mm: float = 20.0,
) -> Array:
    """Invert the dipole field under a quadratic penalty, in one step in k-space.

    Minimises |D chi - field|^2 + regularisation * |G chi|^2, with G the identity or the gradient
    (per mm times the geometric mean of the voxel sides). The field counts as 0 outside the mask.
    `correct` divides the map by what a voxel of 1 would come to, as in `tkd`, for the identity
    only: gradients take more from small things than from large ones, which no factor mends.
    local_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction
    unit vector (z, y, x). Zeros, `padding_mm` an axis, keep the dipole from wrapping. One
    transform pair.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced.
    Raises ValueError when the mask is empty, or the regularisation not above 0.
    Bilgic et al. 2014, doi:10.1002/jmri.24365; Schweser et al. 2013, doi:10.1002/mrm.24405.
    """
    if not regularisation > 0:
        raise ValueError(f"the regularisation is {regularisation:g}; it must be above 0")
    domain = Domain.around(mask, voxel_size, padding_mm)
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=local_field)
    normal = kernel**2 + np.float32(regularisation) * _power(
        penalty, domain.shape, voxel_size, kernel
    )
    normal[0, 0, 0] = 1  # the mean has no say in the field, nor in the gradient
    inverse = kernel / normal
    if correct and penalty == "identity":
        inverse = inverse / np.float32(point_value(kernel * inverse, domain.shape[2]))
    return domain.extract(filtered(domain.embed(local_field), inverse))


def _power(
    penalty: str, shape: Sequence[int], voxel_size: Sequence[float], like: Array
) -> Array | np.float32:
    """G'G on the half spectrum."""
    if penalty == "identity":
        return np.float32(1)
    return squared_spectrum(shape, scales(voxel_size), like)
