"""Nonlinear dipole inversion: gradient descent on the complex misfit, and hardly a prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, from_half_spectra, half_spectra

START = np.float32(0.1)  # Tikhonov weight of the first map: strong sources come close, turns do not
CAUTION = np.float32(0.03)  # D^2 below which steps no longer grow much


def ndi(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    radians_per_ppm: float,
    weight: Array | None = None,
    regularisation: float = 1e-4,
    iterations: int = 8,
    padding_mm: float = 20.0,
) -> Array:
    """Invert the dipole field by gradient descent on the misfit of exp(i phase).

    Descends |W (exp(i r D chi) - exp(i r field))|^2 / (2 r^2) + regularisation / 2 * |chi|^2,
    r being radians_per_ppm, the phase of a field of 1 ppm, and W the `weight` (z, y, x), relative
    precision of the field (1 where best; default the mask), 0 outside. It is the few `iterations`
    that regularise. Voxels that are off by whole turns do little harm; the descent starts from a
    smooth linear map so that fields of strong sources are on their own turn nevertheless. Steps
    are larger where D is small, and have Nesterov's momentum; the paper's are even and have none.
    local_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction
    unit vector (z, y, x). Zeros, `padding_mm` an axis, keep the dipole from wrapping. One
    transform pair an iteration.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced.
    Raises ValueError when the mask is empty, or radians_per_ppm not above 0.
    Polak et al. 2020, doi:10.1002/nbm.4271.
    """
    if not radians_per_ppm > 0:
        raise ValueError(f"radians_per_ppm is {radians_per_ppm:g}; it must be above 0")
    xp = array_module(local_field)
    domain = Domain.around(mask, voxel_size, padding_mm)
    precision = domain.embed(mask if weight is None else weight)
    best = xp.maximum(precision.max(), np.finfo(np.float32).tiny)
    fidelity = precision**2
    field = domain.embed(local_field)
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=local_field)
    turn, pull = np.float32(radians_per_ppm), np.float32(regularisation)
    square = kernel**2 * best**2
    pace = 1 / (square + best**2 * CAUTION + pull)
    chi = half_spectra(field * (precision / best)) * (kernel / (kernel**2 + START))
    ahead, momentum = chi, 1.0
    for _ in range(iterations):
        off = from_half_spectra(kernel * ahead, domain.shape) - field
        misfit = fidelity * xp.sin(turn * off) / turn
        before = chi
        chi = ahead - pace * (pull * ahead + kernel * half_spectra(misfit))
        grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = chi + np.float32((momentum - 1) / grown) * (chi - before)
        momentum = grown
    return domain.extract(from_half_spectra(chi, domain.shape))
