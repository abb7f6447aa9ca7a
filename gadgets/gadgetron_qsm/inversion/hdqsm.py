"""Hybrid data fidelity: absolute misfits find the outliers, squared ones do the rest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.domain import Domain
from gadgetron_qsm.grid import dipole_kernel, filtered
from gadgetron_qsm.inversion.admm import FIT, absolute_misfit, minimise, squared_misfit
from gadgetron_qsm.inversion.edges import edge_prices


def hdqsm(
    local_field: Array,
    mask: Array,
    voxel_size: Sequence[float],
    b0_direction: Sequence[float],
    *,
    weight: Array | None = None,
    magnitude: Array | None = None,
    regularisation: float = 5e-5,
    outlier_ppm: float = 0.007,
    edge_share: float = 0.3,
    first_iterations: int = 15,
    iterations: int = 20,
    padding_mm: float = 20.0,
) -> Array:
    """Invert the dipole field under total variation, first with L1 and then with L2 misfits.

    Stage 1 minimises outlier_ppm * |W (D chi - field)|_1 + regularisation * |grad chi|_1, which
    outliers hardly move. Stage 2 starts from its map and minimises 1/2 |V (D chi - field)|^2 +
    regularisation * |grad chi|_1, which noise moves less; V is W, lowered where stage 1 left
    more than `outlier_ppm` unexplained, so that it counts linearly there (Huber's weight).
    W is the `weight` (z, y, x), relative precision of the field (1 where best; default the mask),
    0 outside. Gradients count inside the mask only, and less where the magnitude (z, y, x) has
    its edges, the `edge_share` of all; sources outside the mask are free.
    local_field (z, y, x) in ppm; mask (z, y, x) bool; voxel_size (z, y, x) in mm; b0_direction
    unit vector (z, y, x). `regularisation` in ppm; gradients are per mm times the geometric mean
    of the voxel sides. Zeros, `padding_mm` an axis, keep the dipole from wrapping.
    Two transform pairs an iteration, `first_iterations` in stage 1 and `iterations` in stage 2.
    Returns chi (z, y, x) in ppm, float32, 0 outside the mask, mean not referenced.
    Raises ValueError when the mask is empty, or regularisation or outlier_ppm not above 0.
    Lambert et al. 2022, doi:10.1002/mrm.29218.
    """
    for name, value in (("regularisation", regularisation), ("outlier_ppm", outlier_ppm)):
        if not value > 0:
            raise ValueError(f"{name} is {value:g}; it must be above 0")
    domain = Domain.around(mask, voxel_size, padding_mm)
    precision = domain.embed(mask if weight is None else weight)
    field = domain.embed(local_field)
    kernel = dipole_kernel(domain.shape, voxel_size, b0_direction, like=local_field)
    solve = partial(
        minimise,
        kernel=kernel,
        domain=domain,
        voxel_size=voxel_size,
        prices=edge_prices(domain, magnitude, edge_share),
        regularisation=regularisation,
    )
    limit = np.float32(outlier_ppm)
    first = solve(absolute_misfit(field, limit * precision), iterations=first_iterations)
    predicted = filtered(first.chi, kernel)
    off = predicted - field
    fidelity = precision**2 * limit / _at_least(limit, precision * off)
    # as if this were where the squared misfit had led
    start = first._replace(field=predicted + fidelity / FIT * off)
    found = solve(squared_misfit(field, fidelity), iterations=iterations, start=start)
    return domain.extract(found.chi)


def _at_least(limit: np.float32, x: Array) -> Array:
    xp = array_module(x)
    return xp.maximum(xp.abs(x), limit)
